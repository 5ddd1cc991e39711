"""``verify``: read a data set as the converter would, and report what it contains."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liver_tf.conversion.source_settings import SourceSettings
from liver_tf.labels import LabelSet
from liver_tf.options import option
from liver_tf.progress import with_progress
from liver_tf.refusals import Refusal, printable

if TYPE_CHECKING:
    from liver_tf.conversion.cases import CaseTask
    from liver_tf.inspection.case_choice import PicturedCase
    from liver_tf.inspection.case_pictures import CasePicture
    from liver_tf.inspection.fingerprint import Facts


@dataclass(frozen=True, kw_only=True)
class VerifySettings(SourceSettings):
    """Options of ``verify``."""

    html: Path | None = option(
        None,
        "Write a page to this file (self-contained, without file names): masks on images, HU and "
        "lesion sizes, cautions and refusals. Its folder must exist.",
    )
    html_cases: int = option(
        24,
        "Cases with pictures on the page: those whose masks look misplaced first, every diagnosis "
        "at least once.",
        low=1,
    )
    site_key_file: Path | None = option(
        None,
        "File with the secret under which the page's pseudonyms match those of the record set. "
        "Default: the variable LIVER_TF_SITE_KEY, then ./site.key; random pseudonyms without "
        "either.",
    )


@dataclass(frozen=True)
class Verification:
    """What a data set contains.

    Attributes:
      facts: The fingerprint: counts, sizes, spacings, cautions and refusals.
      label_set: Of the records that a conversion would write.
      page: The page that was written.
      page_refusal: Why the requested page was not written.
      files: First file of each case on the page, by the pseudonym that the page shows.
    """

    facts: Facts
    label_set: LabelSet
    page: Path | None = None
    page_refusal: Refusal | None = None
    files: tuple[tuple[str, Path], ...] = ()

    @property
    def passed(self) -> bool:
        """Whether everything can be converted, and the page was written if one was requested."""
        return not self.facts.refusals and self.page_refusal is None

    def text(self) -> str:
        """The fingerprint, cautions and refusals, and where the page is."""
        from liver_tf.inspection import fingerprint_text as text

        parts = [text.fingerprint_text(self.facts, self.label_set)]
        parts += [text.cautions_text(self.facts), text.refusals_text(self.facts)]
        if self.page_refusal is not None:
            parts.append(self.page_refusal.text_with_path())
        if self.page is not None:
            lines = [f"Wrote {self.page}."]
            if self.files:
                lines[0] += " First file of each of its cases, which the page omits:"
            lines += [f"  {case}  {printable(file)}" for case, file in self.files]
            parts.append("\n".join(lines))
        return "\n\n".join(parts)


def verify(settings: VerifySettings | None = None, /, **options: Any) -> Verification:
    """Read a data set as ``convert`` would, and report what it contains.

    Writes nothing but the page, if ``html`` names one.

    Args:
      settings: All options; None takes the defaults.
      **options: Single options by name, as in ``liver-tf verify --help``. ``source`` and
        ``input`` are required.

    Raises:
      OptionError: An option has a value that it cannot take.
      Refusal: The input or the site key cannot be read at all, or the page cannot be written there.

    Examples:
      >>> verify(source="lits", input="data/lits", html="verify.html").passed
      True
    """
    from liver_tf.conversion.sources import find_cases
    from liver_tf.inspection.fingerprint import sum_of
    from liver_tf.inspection.page_file import require_page_file, write_page

    settings = VerifySettings.of(settings, **options)
    if settings.html is not None:
        require_page_file(settings.html)
    key = _pseudonym_key(settings)
    tasks, refusals, label_set = find_cases(settings, key)
    parts, pictured = _read(settings, tasks, refusals)
    facts = sum_of(parts, refusals)
    if settings.html is None:
        return Verification(facts, label_set)
    from liver_tf.inspection.verify_page import verify_page

    try:
        write_page(settings.html, verify_page(facts, label_set, pictured, _made_by(settings, key)))
    except Refusal as refusal:
        return Verification(facts, label_set, page_refusal=refusal)
    shown = {case.row.case for case in pictured}
    shown |= {row.case for row in facts.rows if row.cautions or row.refusals}
    files = tuple((task.case, task.files[0]) for task in tasks if task.case in shown and task.files)
    return Verification(facts, label_set, settings.html, files=files)


def _read(
    settings: VerifySettings, tasks: Sequence[CaseTask], refusals: list[Refusal]
) -> tuple[list[Facts], list[PicturedCase]]:
    """Facts by case, and the cases to picture. A refusal that ends the reading is added."""
    from liver_tf.conversion.process_engine import in_processes
    from liver_tf.inspection.case_choice import CaseChoice
    from liver_tf.inspection.fingerprint import facts_of_case

    parts: list[Facts] = []
    choice = CaseChoice(settings.html_cases)
    read: Iterator[tuple[Facts, tuple[CasePicture, ...]]]
    if settings.html is None:
        read = ((facts, ()) for facts in in_processes(facts_of_case, tasks, settings.workers))
    else:
        from liver_tf.inspection.case_pictures import picture_case

        read = in_processes(picture_case, tasks, settings.workers)
    try:
        for facts, pictures in with_progress(read, "verify", "case", len(tasks)):
            choice.add(facts.rows[0], pictures)
            parts.append(facts)
    except Refusal as refusal:
        refusals.append(refusal)
    return parts, choice.pictured


def _pseudonym_key(settings: VerifySettings) -> bytes:
    """The site key if pseudonyms are shown and it exists; a new one is never stored here."""
    from liver_tf.ct.pseudonyms import DEFAULT_KEY_FILE, KEY_VARIABLE, load_site_key

    exists = settings.site_key_file or KEY_VARIABLE in os.environ or DEFAULT_KEY_FILE.exists()
    if settings.html is not None and exists:
        return load_site_key(settings.site_key_file)
    # Pseudonyms only distinguish cases then.
    return secrets.token_bytes(32)


def _made_by(settings: VerifySettings, key: bytes) -> dict[str, str]:
    """Version, time and options, for the page."""
    import datetime

    from liver_tf import __version__

    made_by = {
        "program": f"liver_tf {__version__}, data_prep.verify",
        "time": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "--source": settings.source,
        "--html_cases": str(settings.html_cases),
    }
    for name, value in settings.provenance(key).items():
        made_by[f"--{name}"] = str(value).lower() if isinstance(value, bool) else value
    return made_by

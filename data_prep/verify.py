"""Read a data set as the converter would, and print what it holds.

Prints a fingerprint, what is odd, and every file that would be refused, with the remedy. Ends with
status 1 if anything is refused. Writes nothing, but with --html=FILE one page with pictures of
masks on images, on which a mask that is flipped, shifted or mislabelled is seen at a glance.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from absl import app, flags

from data_prep import source_flags

FLAGS = flags.FLAGS


def main(argv: list[str]) -> int:
    if len(argv) > 1:
        raise app.UsageError(f"unknown argument {argv[1]!r}: all arguments are flags, --name=value")
    from liver_tf.inspection.fingerprint import Facts, sum_of
    from liver_tf.inspection.fingerprint_text import cautions_text, fingerprint_text, refusals_text
    from liver_tf.inspection.page_file import require_page_file
    from liver_tf.refusals import Refusal

    page = None if FLAGS.html is None else Path(FLAGS.html)
    try:
        if page is not None:
            require_page_file(page)
        key = _pseudonym_key(shown=page is not None)
    except Refusal as refusal:
        print(refusals_text(Facts(refusals=[refusal])))
        return 1
    tasks, refusals, label_set = source_flags.find_cases(key)
    parts, pictured, stopped = _read(tasks, with_pictures=page is not None)
    facts = sum_of(parts, [*refusals, *stopped])
    print(fingerprint_text(facts, label_set))
    print(f"\n{cautions_text(facts)}\n\n{refusals_text(facts)}")
    if page is not None and not _written(page, key, facts, label_set, pictured, tasks):
        return 1
    return 1 if facts.refusals else 0


def _read(tasks, *, with_pictures: bool):
    """Facts by case, cases to be shown, and the refusal that ended the reading, if one did."""
    from tqdm import tqdm

    from liver_tf.conversion.process_engine import in_processes
    from liver_tf.inspection.fingerprint import facts_of_case
    from liver_tf.refusals import Refusal

    parts, stopped = [], []
    if with_pictures:
        from liver_tf.inspection.case_choice import CaseChoice
        from liver_tf.inspection.case_pictures import picture_case

        choice = CaseChoice(FLAGS.html_cases)
    read = in_processes(picture_case if with_pictures else facts_of_case, tasks, FLAGS.workers)
    try:
        for one in tqdm(read, total=len(tasks), desc="verify", unit="case"):
            if with_pictures:
                one, pictures = one
                choice.add(one.rows[0], pictures)
            parts.append(one)
    except Refusal as refusal:
        stopped = [refusal]
    return parts, choice.pictured if with_pictures else [], stopped


def _pseudonym_key(*, shown: bool) -> bytes:
    """The site's key where pseudonyms are shown and it has one; none is made, as a key is kept."""
    from liver_tf.ct.pseudonyms import DEFAULT_KEY_FILE, KEY_VARIABLE, load_site_key

    given = FLAGS.site_key_file
    if shown and (given or KEY_VARIABLE in os.environ or DEFAULT_KEY_FILE.exists()):
        return load_site_key(None if given is None else Path(given))
    # Pseudonyms only tell cases apart then.
    return secrets.token_bytes(32)


def _written(page: Path, key: bytes, facts, label_set, pictured, tasks) -> bool:
    """Write the page, and tell which files its cases are; whether that went well."""
    import datetime

    from liver_tf import __version__
    from liver_tf.inspection.page_file import write_page
    from liver_tf.inspection.verify_page import verify_page
    from liver_tf.refusals import Refusal

    made_by = {
        "program": f"liver_tf {__version__}, data_prep.verify",
        "time": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "--source": FLAGS.source,
        "--html_cases": str(FLAGS.html_cases),
    }
    for name, value in source_flags.source_arguments(key).items():
        made_by[f"--{name}"] = str(value).lower() if isinstance(value, bool) else value
    try:
        write_page(page, verify_page(facts, label_set, pictured, made_by))
    except Refusal as refusal:
        print(f"\n{refusal.text_with_path()}")
        return False
    shown = {case.row.case for case in pictured}
    shown |= {row.case for row in facts.rows if row.cautions or row.refusals}
    print(f"\nWrote {page}. Its cases by their first file, which the page does not name:")
    for task in tasks:
        if task.case in shown:
            print(f"  {task.case}", *task.files[:1], sep="  ")
    return True


def _define_flags() -> None:
    source_flags.define_source_flags()
    flags.adopt_module_key_flags(source_flags)  # --help shows them as this command's own
    flags.DEFINE_string(
        "html",
        None,
        "Write a page to this file (one file that needs nothing else, without names of files): "
        "masks on images, HU and lesion sizes, cautions and refusals. Its folder must exist.",
    )
    flags.DEFINE_integer(
        "html_cases",
        24,
        "Cases with pictures on the page: those whose masks look misplaced first, every diagnosis "
        "at least once.",
        lower_bound=1,
    )
    flags.DEFINE_string(
        "site_key_file",
        None,
        "Secret under which the page's pseudonyms are those of the record set. Default: the "
        "variable LIVER_TF_SITE_KEY, then ./site.key; without either, random ones.",
    )


if __name__ == "__main__":
    _define_flags()
    app.run(main)

"""CT files to a record set, with folds for those with lesion types."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liver_tf.conversion.source_settings import SourceSettings
from liver_tf.counted import counted
from liver_tf.ct.window import DEFAULT_WINDOW
from liver_tf.default_paths import FOLDS
from liver_tf.folder_lock import is_around
from liver_tf.labels import LITS
from liver_tf.options import REQUIRED, OptionError, option
from liver_tf.records.pixel_encoding import DEFAULT_ENCODING, ENCODINGS
from liver_tf.refusals import Refusal, printable

if TYPE_CHECKING:
    from liver_tf.conversion.convert_cases import Engine
    from liver_tf.records.folds import Split
    from liver_tf.records.manifest import Manifest


@dataclass(frozen=True, kw_only=True)
class ConvertSettings(SourceSettings):
    """Options of ``convert``."""

    output: Path = option(REQUIRED, "Folder of the record set.")
    site_key_file: Path | None = option(
        None,
        "File with the secret that turns identifiers into pseudonyms. Default: the variable "
        "LIVER_TF_SITE_KEY, then ./site.key, which is created at first use.",
    )
    window_low: int = option(
        DEFAULT_WINDOW[0], "Lower end of the window in HU (paper: -160).", low=-32768, high=32767
    )
    window_high: int = option(
        DEFAULT_WINDOW[1], "Upper end of the window in HU (paper: 240).", low=-32768, high=32767
    )
    engine: str = option(
        "local",
        "local: --workers processes on this machine. beam: Apache Beam (pip extra beam) on the "
        "runner that --beam_option names; all machines must see input and output under the same "
        "paths.",
        choices=("local", "beam"),
    )
    beam_option: tuple[str, ...] = option(
        (),
        "beam: an option of Beam itself, e.g. --beam_option=--runner=FlinkRunner.",
        repeated=True,
    )
    encoding: str = option(
        DEFAULT_ENCODING,
        "Lossless encoding of the pixels. raw is the fastest to write and to read and "
        "takes about six times the space.",
        choices=ENCODINGS,
    )
    folds: int = option(
        FOLDS, "Lesion types: number of folds of the cross-validation; 1 writes no folds.", low=1
    )
    validation_share: float = option(
        0.2,
        "Lesion types: share of a fold's training patients used for validation; at least one.",
        low=0.01,
        high=0.9,
    )
    test_patients: Path | None = option(
        None,
        "Lesion types: file of patient IDs, one per line, for a fixed test cohort: instead of "
        "--folds there is one fold, fold 0, that tests on these patients.",
    )
    seed: int = option(0, "Lesion types: seed of the folds.", low=0, high=2**31 - 1)
    allow_pairs: Path | None = option(
        None,
        "Lesion types: file of pairs of cases that may have similar slices: two pseudonyms "
        "per line, as the leakage guard prints them.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window_high <= self.window_low:
            raise OptionError("window_high", "must be above --window_low")
        if self.beam_option and self.engine != "beam":
            raise OptionError("beam_option", "needs --engine=beam")
        if is_around(self.output, self.input):
            raise OptionError("output", "must be another folder than --input, and not around it")


@dataclass(frozen=True)
class Conversion:
    """The outcome of a conversion.

    Attributes:
      output: Folder of the record set.
      manifest: None if no record set was written.
      splits: The folds that were written.
      refusals: Every refused file or case, or what stopped the conversion.
      notes: Remarks on the folds.
    """

    output: Path
    manifest: Manifest | None = None
    splits: tuple[Split, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    notes: list[str] = field(default_factory=list)

    def text(self) -> str:
        """What was written, for the terminal."""
        if self.manifest is None:
            return f"{printable(self.output)}: no record set was written"
        lines = [
            f"{printable(self.output)}: {counted(self.manifest.records, 'record')} of "
            f"{counted(len(self.manifest.cases), 'case')}, "
            f"fingerprint {self.manifest.fingerprint[:16]}"
        ]
        lines += [
            f"fold {number}: {len(split.training)} training, {len(split.validation)} validation "
            f"and {len(split.test)} test cases"
            for number, split in enumerate(self.splits)
        ]
        return "\n".join([*lines, *self.notes])

    def refusals_text(self) -> str:
        """Every refusal with its path, for the terminal of the person who named the paths."""
        lines = [f"  {refusal.text_with_path()}" for refusal in self.refusals]
        return "\n".join([f"\n{len(lines)} refused:", *lines])


def convert(settings: ConvertSettings | None = None, /, **options: Any) -> Conversion:
    """Convert CT files to a record set; resume if the conversion was interrupted.

    Args:
      settings: All options; None takes the defaults.
      **options: Single options by name, as in ``liver-tf build_tfrecords --help``. ``source``,
        ``input`` and ``output`` are required.

    Returns:
      The manifest and all refusals: a file that cannot be read does not stop the conversion of
      the others.

    Raises:
      OptionError: An option has a value that it cannot take.

    Examples:
      >>> convert(source="lits", input="data/lits", output="tfrecords/lits").manifest.records
      288
    """
    from liver_tf import __version__
    from liver_tf.conversion.convert_cases import Target, convert_cases
    from liver_tf.conversion.data_kind import data_kind
    from liver_tf.conversion.sources import find_cases
    from liver_tf.ct.pseudonyms import key_fingerprint, load_site_key
    from liver_tf.records.manifest import DATA

    settings = ConvertSettings.of(settings, **options)
    manifest: Manifest | None = None
    refusals: list[Refusal] = []
    splits: tuple[Split, ...] = ()
    notes: list[str] = []
    window = (settings.window_low, settings.window_high)
    try:
        key = load_site_key(settings.site_key_file)
        tasks, refusals, label_set = find_cases(settings, key)
        manifest, refusals = convert_cases(
            tasks,
            Target(settings.output, window, settings.encoding),
            label_set=label_set,
            made_by={
                "version": __version__,
                "source": settings.source,
                DATA: data_kind(settings.input),
                "site_key": key_fingerprint(key),
                **settings.provenance(key),
            },
            early_refusals=refusals,
            engine=_engine(settings),
        )
        if manifest is not None and label_set != LITS:  # what is fine-tuned on
            splits, notes = _write_folds(settings, manifest, key)
    except Refusal as refusal:
        refusals = [*refusals, refusal]
    return Conversion(settings.output, manifest, splits, tuple(refusals), notes)


def _engine(settings: ConvertSettings) -> Engine:
    if settings.engine == "beam":
        from liver_tf.conversion.beam_engine import convert_in_beam

        return functools.partial(convert_in_beam, options=list(settings.beam_option))
    from liver_tf.conversion.convert_cases import local_engine

    return local_engine(settings.workers)


def _write_folds(
    settings: ConvertSettings, manifest: Manifest, key: bytes
) -> tuple[tuple[Split, ...], list[str]]:
    """Write ``folds.json``; returns the folds and remarks on them."""
    from liver_tf.records import folds

    if settings.test_patients is not None:
        return _save_folds(settings, manifest, *_fixed_test(settings, manifest, key))
    if settings.folds == 1:
        return (), [
            "no folds were requested: these records can serve as a test set, but not for "
            "fine-tuning"
        ]
    arguments: dict[str, Any] = {
        "folds": settings.folds,
        "validation_share": settings.validation_share,
        "seed": settings.seed,
    }
    try:
        splits = folds.cross_validation(manifest, **arguments)
    except ValueError:  # of scikit-learn, if no diagnosis has a patient for every fold
        raise Refusal(
            "too-few-patients",
            settings.output,
            expected=f"a diagnosis with at least {settings.folds} patients, one for each fold",
            found=f"{len(manifest.cases)} patients, but fewer with each diagnosis",
            remedy="Lower --folds (1 writes none) or add patients. The records are complete.",
        ) from None
    return _save_folds(settings, manifest, splits, arguments)


def _fixed_test(
    settings: ConvertSettings, manifest: Manifest, key: bytes
) -> tuple[tuple[Split, ...], dict[str, Any]]:
    """One fold that tests on ``--test_patients``, and its arguments for ``folds.json``."""
    from liver_tf.ct.pseudonyms import pseudonym
    from liver_tf.records import folds
    from liver_tf.records.bad_records import bad_records

    path = settings.test_patients
    assert path is not None
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError):
        expected = "a text file with a patient ID on each line"
        raise bad_records("test-patient-unknown", path, expected, "none") from None
    patients = {pseudonym(key, "patient", line.strip()) for line in lines if line.strip()}
    arguments: dict[str, Any] = {
        "validation_share": settings.validation_share,
        "seed": settings.seed,
    }
    splits = folds.fixed_test(manifest, patients, **arguments)
    return splits, {"test_patients": len(patients), **arguments}


def _save_folds(
    settings: ConvertSettings,
    manifest: Manifest,
    splits: tuple[Split, ...],
    arguments: dict[str, Any],
) -> tuple[tuple[Split, ...], list[str]]:
    """Write ``folds.json`` unless a fold leaks; returns the folds and remarks on them."""
    from liver_tf.conversion.output_folder import FOLDS_NAME
    from liver_tf.disk_full import write_errors_as_refusals
    from liver_tf.records import folds

    _refuse_leaks(settings, manifest, splits)
    with write_errors_as_refusals(settings.output):
        folds.save_folds(settings.output / FOLDS_NAME, manifest, splits, arguments)
    return splits, [f"note: {text}" for text in folds.missing_diagnoses(manifest, splits)]


def _refuse_leaks(settings: ConvertSettings, manifest: Manifest, splits: tuple[Split, ...]) -> None:
    """Refuse folds whose parts share a patient or a slice: their results would be invalid."""
    from liver_tf.records.allowed_pairs import load_allowed
    from liver_tf.records.leakage import borders_of, find_leaks, parts_of_split, refuse_leaks

    borders = []
    for number, split in enumerate(splits):
        borders += borders_of(parts_of_split(f"fold {number}", manifest, split))
    allowed = load_allowed(settings.allow_pairs, {entry.case for entry in manifest.cases})
    leaks = find_leaks(borders, allowed)
    refuse_leaks(leaks, settings.output, "The records are complete; no folds were written.")

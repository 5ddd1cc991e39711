"""Folds: training, validation and test cases, divided by patient (or wider group), not by slice.

Cross-validation as in the paper: K folds of the patients, stratified by diagnosis. Of the patients
outside the test part, a share is used for validation, so that early stopping never uses the test
part.
"""

import warnings
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from liver_tf import atomic_files
from liver_tf.bounded_files import read_json
from liver_tf.records.bad_records import bad_records
from liver_tf.records.content_checksum import is_intact, with_checksum
from liver_tf.records.manifest import Manifest
from liver_tf.refusals import Refusal

PARTS = ("training", "validation", "test")
#: Keys of the file besides its checksum, which earlier versions did not write.
_FIELDS = ("data_fingerprint", "arguments", "folds")


@dataclass(frozen=True)
class Split:
    """Case pseudonyms of the three parts; a patient or group is in one of them only."""

    training: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...] = ()


def hold_out(manifest: Manifest, *, validation_share: float, seed: int) -> Split:
    """Split into training and validation by group (the paper's 115 / 15 on LiTS)."""
    return Split(*_divide(manifest, [case.case for case in manifest.cases], validation_share, seed))


def cross_validation(
    manifest: Manifest, *, folds: int, validation_share: float, seed: int
) -> tuple[Split, ...]:
    """K splits, whose test parts are disjoint and together hold every case.

    Raises:
      Refusal: ``too-few-patients`` if there are fewer groups than folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold  # 1 s, which training need not wait

    entries = sorted(manifest.cases, key=lambda entry: entry.case)
    cases = np.array([entry.case for entry in entries])
    groups = np.array([entry.group for entry in entries])
    strata = np.array([entry.diagnosis for entry in entries])
    if len(set(groups)) < folds:
        remedy = "Lower --folds (1 writes no folds) or add patients. The records are complete."
        raise _too_few(len(set(groups)), f"at least {folds} patients for {folds} folds", remedy)
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    splits = []
    with warnings.catch_warnings():
        # A diagnosis with fewer patients than folds is spread over some of them.
        warnings.filterwarnings("ignore", message="The least populated class")
        parts = list(splitter.split(cases, strata, groups))
    for number, (rest, test) in enumerate(parts):
        parts_of_rest = _divide(manifest, cases[rest].tolist(), validation_share, seed + 1 + number)
        splits.append(Split(*parts_of_rest, tuple(cases[test].tolist())))
    return tuple(splits)


def fixed_test(
    manifest: Manifest, patients: Collection[str], *, validation_share: float, seed: int
) -> tuple[Split, ...]:
    """One split, whose test part are the cases of ``patients`` (pseudonyms).

    Raises:
      Refusal: ``test-patient-unknown``, ``too-few-patients``.
    """
    known = {entry.patient for entry in manifest.cases}
    if unknown := set(patients) - known:
        found = f"{len(unknown)} of {len(patients)} that are not"
        raise bad_records("test-patient-unknown", None, "test patients of these records", found)
    groups = {entry.group for entry in manifest.cases if entry.patient in patients}
    test = tuple(sorted(entry.case for entry in manifest.cases if entry.group in groups))
    rest = [entry.case for entry in manifest.cases if entry.group not in groups]
    return (Split(*_divide(manifest, rest, validation_share, seed), test),)


def missing_diagnoses(manifest: Manifest, splits: tuple[Split, ...]) -> list[str]:
    """A sentence for every part of a fold without a patient of a diagnosis."""
    diagnosis_of = {entry.case: entry.diagnosis for entry in manifest.cases}
    every = set(diagnosis_of.values())
    return [
        f"fold {number} has no patient with {diagnosis} in its {name} part"
        for number, split in enumerate(splits)
        for name in PARTS
        for diagnosis in sorted(every - {diagnosis_of[case] for case in getattr(split, name)})
    ]


def save_folds(
    path: Path, manifest: Manifest, splits: tuple[Split, ...], arguments: dict[str, Any]
) -> None:
    """Write the folds with the fingerprint of their data and a checksum."""
    content = {
        "data_fingerprint": manifest.fingerprint,
        "arguments": arguments,
        "folds": [asdict(split) for split in splits],
    }
    atomic_files.write_json(path, with_checksum(content))


def load_folds(path: Path, manifest: Manifest) -> tuple[Split, ...]:
    """Read folds, restricted to the cases of ``manifest``.

    An ROI set uses the folds of its source, but may lack cases in which no liver was found. A case
    that is in no fold is refused, since it would silently not be used, and so is a case of a fold
    that the data of the folds do not have. A checksum is compared if there is one.

    Raises:
      Refusal: ``no-folds``, ``folds-damaged``, ``folds-differ``.
    """
    if not path.is_file():
        expected = "the folds that liver-tf build_tfrecords writes beside the manifest"
        raise bad_records("no-folds", path, expected, "no such file")
    try:
        stored = read_json(path)
        fingerprint = stored["data_fingerprint"]
        splits = tuple(Split(*(tuple(part[name]) for name in PARTS)) for part in stored["folds"])
    except (ValueError, KeyError, TypeError):
        raise _damaged(path, "other content") from None
    if not is_intact(stored, _FIELDS):
        raise _damaged(path, "content that does not match its checksum")
    if fingerprint not in (manifest.fingerprint, (manifest.roi or {}).get("source_fingerprint")):
        expected = "the folds of these records, or of the records from which the ROIs were cut"
        raise bad_records("folds-differ", path, expected, "folds of other data")
    known = {case.case for case in manifest.cases}
    assigned = {case for split in splits for name in PARTS for case in getattr(split, name)}
    if not known <= assigned:
        found = f"{len(known - assigned)} of {len(known)} cases in none"
        raise bad_records("folds-differ", path, "every case in one of the folds", found)
    if fingerprint == manifest.fingerprint and assigned - known:
        found = f"{len(assigned - known)} others"
        raise bad_records("folds-differ", path, f"the {len(known)} cases of these records", found)
    return tuple(
        Split(*(tuple(c for c in getattr(split, name) if c in known) for name in PARTS))
        for split in splits
    )


def require_parts(split: Split, path: Path) -> None:
    """Raise ``Refusal`` ``fold-empty`` if a fold has no training or no validation cases."""
    if not (split.training and split.validation):
        found = f"{len(split.training)} and {len(split.validation)}"
        raise bad_records("fold-empty", path, "training and validation cases in the fold", found)


def validate_on_test(split: Split) -> Split:
    """A split that validates on its test part and trains on all other cases.

    The results are optimistic; it exists to measure by how much.
    """
    return Split(tuple(sorted((*split.training, *split.validation))), split.test, split.test)


def _damaged(path: Path, found: str) -> Refusal:
    expected = "the folds that liver-tf build_tfrecords writes"
    return bad_records("folds-damaged", path, expected, found)


def _too_few(patients: int, expected: str, remedy: str) -> Refusal:
    found = f"{patients}"
    return Refusal("too-few-patients", None, expected=expected, found=found, remedy=remedy)


def _divide(
    manifest: Manifest, cases: list[str], validation_share: float, seed: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Choose groups for validation, diagnosis by diagnosis, at least one where there are two."""
    entries = {entry.case: entry for entry in manifest.cases}
    by_group: dict[str, list[str]] = {}
    for case in sorted(cases):
        by_group.setdefault(entries[case].group, []).append(case)
    by_diagnosis: dict[str, list[str]] = {}
    for group, members in sorted(by_group.items()):
        by_diagnosis.setdefault(entries[members[0]].diagnosis, []).append(group)
    if len(by_group) < 2:
        expected = "at least 2 patients, for training and validation"
        raise _too_few(len(by_group), expected, "Add patients.")
    generator = np.random.default_rng(seed)
    chosen: set[str] = set()
    for _, groups in sorted(by_diagnosis.items()):
        # The only patient of a diagnosis is used for training.
        count = min(max(round(validation_share * len(groups)), 1), len(groups) - 1)
        chosen.update(generator.permutation(groups)[:count].tolist())
    if not chosen:
        chosen.add(sorted(by_group)[int(generator.integers(len(by_group)))])
    training = [case for group, part in by_group.items() if group not in chosen for case in part]
    validation = [case for group, part in by_group.items() if group in chosen for case in part]
    return tuple(sorted(training)), tuple(sorted(validation))

"""Who is trained on, who validates, who tests. Always by patient (or wider group), never by slice.

Cross-validation after the paper: K folds of the patients, stratified by diagnosis. Of the patients
outside a fold's test part a share is set aside for validation, so that early stopping never sees
the test part.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from liver_tf import atomic_files
from liver_tf.records.manifest import Manifest
from liver_tf.refusals import Refusal

PARTS = ("training", "validation", "test")


@dataclass(frozen=True)
class Split:
    """Case pseudonyms of the three parts; no patient and no group lies in two of them."""

    training: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...] = ()


def hold_out(manifest: Manifest, *, validation_share: float, seed: int) -> Split:
    """Split into training and validation by group (the paper's 115 / 15 on LiTS)."""
    training, validation = _divide(manifest, _all_cases(manifest), validation_share, seed)
    return Split(training, validation)


def cross_validation(
    manifest: Manifest, *, folds: int, validation_share: float, seed: int
) -> tuple[Split, ...]:
    """K splits; the test parts are disjoint and together hold every case once.

    Raises ``Refusal`` where there are fewer groups than folds.
    """
    cases = np.array(_all_cases(manifest))
    groups = np.array([_entry(manifest, case).group for case in cases])
    strata = np.array([_entry(manifest, case).diagnosis for case in cases])
    if len(set(groups)) < folds:
        raise Refusal(
            "too-few-patients",
            None,
            expected=f"at least {folds} patients for {folds} folds",
            found=f"{len(set(groups))}",
            remedy="Lower --folds (1 writes none) or add patients. The records are complete.",
        )
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    splits = []
    with warnings.catch_warnings():
        # A diagnosis with fewer patients than folds is spread as far as it goes.
        warnings.filterwarnings("ignore", message="The least populated class")
        parts = list(splitter.split(cases, strata, groups))
    for number, (rest, test) in enumerate(parts):
        training, validation = _divide(
            manifest, cases[rest].tolist(), validation_share, seed + 1 + number
        )
        splits.append(Split(training, validation, tuple(cases[test].tolist())))
    return tuple(splits)


def missing_diagnoses(manifest: Manifest, splits: tuple[Split, ...]) -> list[str]:
    """A sentence for every part of a fold that has no patient of a diagnosis.

    Where a diagnosis has fewer patients than there are folds some part must go without.
    """
    diagnosis_of = {entry.case: entry.diagnosis for entry in manifest.cases}
    every = set(diagnosis_of.values())
    sentences = []
    for number, split in enumerate(splits):
        for name in PARTS:
            there = {diagnosis_of[case] for case in getattr(split, name)}
            sentences += [
                f"fold {number} has no patient with {diagnosis} in its {name} part"
                for diagnosis in sorted(every - there)
            ]
    return sentences


def save_folds(path: Path, manifest: Manifest, splits: tuple[Split, ...], arguments: dict) -> None:
    """Store the folds with the fingerprint of the data they belong to."""
    atomic_files.write_json(
        path,
        {
            "data_fingerprint": manifest.fingerprint,
            "arguments": arguments,
            "folds": [asdict(split) for split in splits],
        },
    )


def load_folds(path: Path, manifest: Manifest) -> tuple[Split, ...]:
    """The folds in ``path``, restricted to the cases of ``manifest``.

    An ROI set may lack cases in which no liver was found; it shares the folds of its source. But
    a case that the file does not know raises ``Refusal``: it would silently be left out.
    """
    if not path.is_file():
        raise Refusal(
            "no-folds",
            path,
            expected="the folds that build_tfrecords writes beside the manifest",
            found="no such file",
            remedy="Name it with --folds_file, or convert the slices again.",
        )
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        made_of = stored["data_fingerprint"]
        splits = tuple(Split(*(tuple(part[name]) for name in PARTS)) for part in stored["folds"])
    except (ValueError, KeyError, TypeError):
        raise Refusal(
            "folds-damaged",
            path,
            expected="the folds that build_tfrecords writes",
            found="something else",
            remedy="Convert again: complete shards are kept, and the folds are the same.",
        ) from None
    if made_of not in (manifest.fingerprint, (manifest.roi or {}).get("source_fingerprint")):
        raise Refusal(
            "folds-differ",
            path,
            expected="the folds of these records, or of those from which the ROIs were cut",
            found="folds of other data",
            remedy="Name the folds that were made with these data.",
        )
    known = {case.case for case in manifest.cases}
    named = {case for split in splits for case in _cases_of(split)}
    if not known <= named:
        raise Refusal(
            "folds-differ",
            path,
            expected="every case in one of the folds",
            found=f"{len(known - named)} of {len(known)} cases in none",
            remedy="Name the folds that were made with these data.",
        )
    return tuple(
        Split(*(tuple(c for c in getattr(split, name) if c in known) for name in PARTS))
        for split in splits
    )


def require_parts(split: Split, path: Path) -> None:
    """Raise ``Refusal``, ``fold-empty``, where nobody is left to train or to validate on."""
    if not (split.training and split.validation):
        raise Refusal(
            "fold-empty",
            path,
            expected="patients to train on and patients to validate on in the fold",
            found=f"{len(split.training)} and {len(split.validation)}",
            remedy="Another fold, or folds of more patients.",
        )


def validate_on_test(split: Split) -> Split:
    """The looser practice: the test part decides on early stopping, and nobody is set aside.

    Figures of such a run are optimistic; it exists to show by how much.
    """
    return Split(tuple(sorted((*split.training, *split.validation))), split.test, split.test)


def _cases_of(split: Split) -> tuple[str, ...]:
    return (*split.training, *split.validation, *split.test)


def _all_cases(manifest: Manifest) -> list[str]:
    return sorted(case.case for case in manifest.cases)


def _entry(manifest: Manifest, name: str):
    return next(case for case in manifest.cases if case.case == name)


def _divide(
    manifest: Manifest, cases: list[str], validation_share: float, seed: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Set whole groups aside for validation, diagnosis by diagnosis, one of each that has two."""
    by_group: dict[str, list[str]] = {}
    for case in cases:
        by_group.setdefault(_entry(manifest, case).group, []).append(case)
    by_diagnosis: dict[str, list[str]] = {}
    for group, members in sorted(by_group.items()):
        by_diagnosis.setdefault(_entry(manifest, members[0]).diagnosis, []).append(group)
    if len(by_group) < 2:
        raise Refusal(
            "too-few-patients",
            None,
            expected="at least 2 patients, to train on one and validate on another",
            found=f"{len(by_group)}",
            remedy="Add patients.",
        )
    generator = np.random.default_rng(seed)
    chosen: set[str] = set()
    for _, groups in sorted(by_diagnosis.items()):
        # The only patient of a diagnosis is trained on.
        count = min(max(round(validation_share * len(groups)), 1), len(groups) - 1)
        chosen.update(generator.permutation(groups)[:count].tolist())
    if not chosen:
        chosen.add(sorted(by_group)[int(generator.integers(len(by_group)))])
    training = [case for group, part in by_group.items() if group not in chosen for case in part]
    validation = [case for group, part in by_group.items() if group in chosen for case in part]
    return tuple(sorted(training)), tuple(sorted(validation))

"""The leakage rule: no patient, no slice and no near-duplicate slice in two parts of the data.

The parts are training, validation and test of a fold, or the training data of a network and the
validation and test parts of a fold. Two cases of the same patient or group are a leak; the slices
of all other cases are compared by their hashes (``slice_hash``).
"""

import collections
import itertools
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from liver_tf.records.folds import PARTS, Split
from liver_tf.records.manifest import Manifest
from liver_tf.records.near_duplicates import identical_pairs, near_pairs
from liver_tf.records.slice_hash import BITS, VIEWS, SliceHashes, parse_hashes
from liver_tf.refusals import Refusal

#: Worst first: a pair of cases is reported under its worst kind.
KINDS = SHARED, IDENTICAL, NEAR = "shared-patient", "identical-slice", "near-duplicate"

_REMEDIES = {
    SHARED: "Make the folds again, or remove the patient from one of the parts; a shared patient "
    "cannot be allowed.",
    IDENTICAL: "If one patient has two identifiers, correct them; if a slice is a copy, remove it. "
    "To accept the similarity, list the two cases in a file, separated by a comma, and set "
    "--allow_pairs to it.",
}
_REMEDIES[NEAR] = _REMEDIES[IDENTICAL]

_SHOWN = 5
_VIEW_NAMES = tuple(VIEWS)
UPRIGHT = _VIEW_NAMES[0]


@dataclass(frozen=True)
class HashedCase:
    """A case for the leakage guard: pseudonyms, and a hash of every slice."""

    case: str
    patient: str
    group: str
    hashes: tuple[str, ...]


@dataclass(frozen=True)
class SplitPart:
    """Cases of one part of the data.

    Attributes:
      name: For messages, e.g. ``fold 0 test``.
      site_key: Fingerprint of the key of the pseudonyms, or empty if unknown.
    """

    name: str
    site_key: str
    cases: tuple[HashedCase, ...]


@dataclass(frozen=True)
class SlicePair:
    """Two slices by their index in their cases, number of differing bits, and view (flip)."""

    left: int
    right: int
    distance: int
    view: str


@dataclass(frozen=True)
class Leak:
    """Two cases that should not be in different parts.

    Attributes:
      kind: One of ``KINDS``.
      left_part, right_part: Names of the parts.
      left, right: Pseudonyms of the cases.
      slices: Pairs of slices of that kind, most similar first; empty for a shared patient.
    """

    kind: str
    left_part: str
    right_part: str
    left: str
    right: str
    slices: tuple[SlicePair, ...] = ()


def part_of(name: str, manifest: Manifest, cases: Collection[str] | None = None) -> SplitPart:
    """All cases of a record set, or the given ones, as a part."""
    chosen = None if cases is None else set(cases)
    return SplitPart(
        name,
        manifest.made_by.get("site_key", ""),
        tuple(
            HashedCase(entry.case, entry.patient, entry.group, entry.all_hashes)
            for entry in manifest.cases
            if chosen is None or entry.case in chosen
        ),
    )


def parts_of_split(
    name: str, manifest: Manifest, split: Split
) -> tuple[SplitPart, SplitPart, SplitPart]:
    """Training, validation and test part of a fold, named ``NAME training`` and so on."""
    training, validation, test = (
        part_of(f"{name} {part}", manifest, getattr(split, part)) for part in PARTS
    )
    return training, validation, test


def borders_of(parts: Iterable[SplitPart]) -> list[tuple[SplitPart, SplitPart]]:
    """All pairs of different parts."""
    return list(itertools.combinations(parts, 2))


def find_leaks(
    pairs: Iterable[tuple[SplitPart, SplitPart]], allowed: Collection[frozenset[str]] = ()
) -> list[Leak]:
    """Find the leaks between parts, in the order of ``pairs``, the worst kind first.

    Args:
      pairs: Pairs of parts. A part paired with itself compares its patients with each other.
      allowed: Pairs of case pseudonyms that may have similar slices, but not share a patient.
    """
    leaks: list[Leak] = []
    for left, right in pairs:
        between = [
            leak
            for leak in (*_shared_patients(left, right), *_similar_slices(left, right))
            if leak.kind == SHARED or frozenset((leak.left, leak.right)) not in allowed
        ]
        leaks += sorted(between, key=lambda leak: (KINDS.index(leak.kind), leak.left, leak.right))
    return leaks


def refuse_leaks(leaks: list[Leak], path: Path | None, consequence: str = "") -> None:
    """Refuse leaks, if there are any; ``consequence`` is appended to the remedy.

    Raises:
      Refusal: by the worst kind, ``leak-shared-patient``, ``leak-identical-slice`` or
        ``leak-near-duplicate``.
    """
    if not leaks:
        return
    # The same two cases may leak in several folds: they count once.
    once = {(leak.kind, frozenset((leak.left, leak.right))): leak for leak in reversed(leaks)}
    leaks = list(reversed(once.values()))
    kind = min((leak.kind for leak in leaks), key=KINDS.index)
    worst = [leak for leak in leaks if leak.kind == kind]
    counts = collections.Counter(leak.kind for leak in leaks)
    kinds = ", ".join(f"{counts[name]} x {name}" for name in KINDS if counts[name])
    shown = "; ".join(text_of(leak) for leak in worst[:_SHOWN])
    more = f"; and {len(worst) - _SHOWN} more" if len(worst) > _SHOWN else ""
    raise Refusal(
        "leak-shared-patient"
        if kind == SHARED
        else "leak-identical-slice"
        if kind == IDENTICAL
        else "leak-near-duplicate",
        path,
        expected="no patient, no slice and no near-duplicate slice in two parts of the data",
        found=f"{kinds} (pairs of cases): {shown}{more}",
        remedy=" ".join(filter(None, (_REMEDIES[kind], consequence))),
    )


def text_of(leak: Leak) -> str:
    """A leak in one line: pseudonyms, parts, and the most similar pair of slices."""
    text = f"{leak.left} ({leak.left_part}) and {leak.right} ({leak.right_part})"
    if not leak.slices:
        return text
    pair = leak.slices[0]
    view = "" if pair.view == UPRIGHT else f", {pair.view}"
    return (
        f"{text}, {len(leak.slices)} pairs of slices, most similar {pair.left} and {pair.right} "
        f"({pair.distance} of {BITS} bits differ{view})"
    )


def key_cautions(pairs: Iterable[tuple[SplitPart, SplitPart]]) -> list[str]:
    """A sentence for every pair of parts whose patients cannot be compared by pseudonym."""
    return [
        f"patients of {left.name} and {right.name} cannot be compared, because their site keys "
        "differ; slices were compared"
        for left, right in pairs
        if left.site_key != right.site_key
    ]


def _same_person(left: SplitPart, right: SplitPart) -> np.ndarray:
    """bool [left cases, right cases]: whether two cases share a patient or a group."""
    places: dict[str, list[int]] = collections.defaultdict(list)
    for column, case in enumerate(right.cases):
        for name in {case.patient, case.group}:
            places[name].append(column)
    shared = np.zeros((len(left.cases), len(right.cases)), bool)
    for row, case in enumerate(left.cases):
        for name in {case.patient, case.group}:
            shared[row, places.get(name, [])] = True
    return shared


def _shared_patients(left: SplitPart, right: SplitPart) -> Iterator[Leak]:
    if left is right:
        return
    for row, column in np.argwhere(_same_person(left, right)):
        yield Leak(SHARED, left.name, right.name, left.cases[row].case, right.cases[column].case)


def _similar_slices(left: SplitPart, right: SplitPart) -> Iterator[Leak]:
    """Leaks by slices, between cases that do not share a patient."""
    skip = _same_person(left, right)
    if left is right:
        skip |= np.tri(len(left.cases), dtype=np.bool_)
    first, first_case = _hashes_and_cases(left)
    second, second_case = (first, first_case) if left is right else _hashes_and_cases(right)
    pairs: dict[tuple[str, int, int], list[SlicePair]] = collections.defaultdict(list)
    for kind, blocks in (
        (IDENTICAL, identical_pairs(first, second)),
        (NEAR, near_pairs(first, second)),
    ):
        for rows, columns, distances, views in blocks:
            compared = ~skip[first_case[rows], second_case[columns]]
            for row, column, distance, view in zip(
                *(part[compared] for part in (rows, columns, distances, views)), strict=True
            ):
                pair = SlicePair(
                    int(first.index[row]),
                    int(second.index[column]),
                    int(distance),
                    _VIEW_NAMES[view],
                )
                pairs[kind, first_case[row], second_case[column]].append(pair)
    for (kind, row, column), slices in pairs.items():
        if kind == NEAR and (IDENTICAL, row, column) in pairs:
            continue
        slices.sort(key=lambda pair: (pair.distance, pair.left, pair.right))
        names = left.cases[row].case, right.cases[column].case
        yield Leak(kind, left.name, right.name, *names, tuple(slices))


def _hashes_and_cases(part: SplitPart) -> tuple[SliceHashes, np.ndarray]:
    """The slices of a part: their hashes, and the index of their case, int64 [slices]."""
    counts = [len(case.hashes) for case in part.cases]
    texts = (text for case in part.cases for text in case.hashes)
    return parse_hashes(texts), np.repeat(np.arange(len(counts)), counts)

"""Leaks: the same patient, the same slice or nearly the same slice on two sides of a border.

Sides are the parts of a fold, or what a network was trained on against a fold's validation and
test part. Cases that share a patient or a group are a leak by that alone; between all others the
slices are compared by their hashes (``slice_hash``).
"""

from __future__ import annotations

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

#: Worst first: two cases are reported under the first that fits.
KINDS = SHARED, IDENTICAL, NEAR = "shared-patient", "identical-slice", "near-duplicate"

_REMEDIES = {
    SHARED: "Make the folds again, or take the patient out of one of the sides; a shared patient "
    "cannot be allowed.",
    IDENTICAL: "If it is one patient under two identifiers, give both rows the same; if a copy, "
    "take one out. Where the slices may be alike, list the two cases in a file, with a comma "
    "between them, and name it with --allow_pairs.",
}
_REMEDIES[NEAR] = _REMEDIES[IDENTICAL]

_SHOWN = 5
_VIEW_NAMES = tuple(VIEWS)
UPRIGHT = _VIEW_NAMES[0]


@dataclass(frozen=True)
class HashedCase:
    """What the guard knows of a case: pseudonyms, and a hash of every slice."""

    case: str
    patient: str
    group: str
    hashes: tuple[str, ...]


@dataclass(frozen=True)
class SplitPart:
    """Cases on one side of a border.

    Attributes:
      name: for the reader, e.g. ``fold 0 test``.
      site_key: fingerprint of the key behind the pseudonyms, or empty where unknown.
    """

    name: str
    site_key: str
    cases: tuple[HashedCase, ...]


@dataclass(frozen=True)
class SlicePair:
    """Two slices by their places in their cases, the bits that differ, and how they lie."""

    left: int
    right: int
    distance: int
    view: str


@dataclass(frozen=True)
class Leak:
    """Two cases that should not lie on the two sides of a border.

    Attributes:
      kind: of ``KINDS``.
      left_part, right_part: names of the sides. left, right: pseudonyms of the cases.
      slices: the pairs of slices of that kind, nearest first; empty for a shared patient.
    """

    kind: str
    left_part: str
    right_part: str
    left: str
    right: str
    slices: tuple[SlicePair, ...] = ()


def part_of(name: str, manifest: Manifest, cases: Collection[str] | None = None) -> SplitPart:
    """Some cases of a record set, or all."""
    wanted = None if cases is None else set(cases)
    return SplitPart(
        name,
        manifest.made_by.get("site_key", ""),
        tuple(
            HashedCase(entry.case, entry.patient, entry.group, entry.hashes)
            for entry in manifest.cases
            if wanted is None or entry.case in wanted
        ),
    )


def parts_of_split(
    name: str, manifest: Manifest, split: Split
) -> tuple[SplitPart, SplitPart, SplitPart]:
    """Training, validation and test of a fold, called ``name training`` and so on."""
    return tuple(part_of(f"{name} {part}", manifest, getattr(split, part)) for part in PARTS)


def borders_of(parts: Iterable[SplitPart]) -> list[tuple[SplitPart, SplitPart]]:
    """Every part against every other."""
    return list(itertools.combinations(parts, 2))


def find_leaks(
    borders: Iterable[tuple[SplitPart, SplitPart]], allowed: Collection[frozenset[str]] = ()
) -> list[Leak]:
    """Leaks across every border, in the order of the borders, the worst kind first.

    Args:
      borders: pairs of parts. A part against itself means each patient of it against the others.
      allowed: pairs of case pseudonyms whose slices may be alike. A shared patient stays a leak.
    """
    found = []
    for left, right in borders:
        leaks = [
            leak
            for leak in (*_shared_patients(left, right), *_alike(left, right))
            if leak.kind == SHARED or frozenset((leak.left, leak.right)) not in allowed
        ]
        found += sorted(leaks, key=lambda leak: (KINDS.index(leak.kind), leak.left, leak.right))
    return found


def refuse_leaks(leaks: list[Leak], path: Path | None, consequence: str = "") -> None:
    """Raise ``Refusal`` where there is a leak: ``leak-shared-patient``, ``leak-identical-slice``
    or ``leak-near-duplicate``, after the worst kind found. ``consequence`` ends the text.
    """
    if not leaks:
        return
    # Two cases may lie on two sides in several folds: they count once.
    once = {(leak.kind, frozenset((leak.left, leak.right))): leak for leak in reversed(leaks)}
    leaks = list(reversed(once.values()))
    kind = min((leak.kind for leak in leaks), key=KINDS.index)
    worst = [leak for leak in leaks if leak.kind == kind]
    counts = collections.Counter(leak.kind for leak in leaks)
    found = ", ".join(f"{counts[name]} x {name}" for name in KINDS if counts[name])
    shown = "; ".join(text_of(leak) for leak in worst[:_SHOWN])
    more = f"; and {len(worst) - _SHOWN} more" if len(worst) > _SHOWN else ""
    raise Refusal(
        "leak-shared-patient"
        if kind == SHARED
        else "leak-identical-slice"
        if kind == IDENTICAL
        else "leak-near-duplicate",
        path,
        expected="no patient and no slice, nor nearly the same slice, on both sides of a border",
        found=f"{found} (pairs of cases): {shown}{more}",
        remedy=" ".join(filter(None, (_REMEDIES[kind], consequence))),
    )


def text_of(leak: Leak) -> str:
    """One line on a leak: pseudonyms, sides, and the nearest pair of slices."""
    text = f"{leak.left} ({leak.left_part}) and {leak.right} ({leak.right_part})"
    if not leak.slices:
        return text
    pair = leak.slices[0]
    view = "" if pair.view == UPRIGHT else f", {pair.view}"
    return (
        f"{text}, {len(leak.slices)} pairs of slices, nearest {pair.left} and {pair.right} "
        f"({pair.distance} of {BITS} bits differ{view})"
    )


def key_cautions(borders: Iterable[tuple[SplitPart, SplitPart]]) -> list[str]:
    """A sentence for every border across which patients cannot be compared by pseudonym."""
    return [
        f"patients of {left.name} and {right.name} cannot be compared: different site keys; "
        "pixels were"
        for left, right in borders
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


def _alike(left: SplitPart, right: SplitPart) -> Iterator[Leak]:
    """Leaks by pixels, between cases that do not share a patient anyway."""
    skip = _same_person(left, right)
    if left is right:
        skip |= np.tri(len(left.cases), dtype=bool)
    first = _Slices.of(left)
    second = first if left is right else _Slices.of(right)
    pairs: dict[tuple[str, int, int], list[SlicePair]] = collections.defaultdict(list)
    for kind, found in (
        (IDENTICAL, identical_pairs(first.hashes, second.hashes)),
        (NEAR, near_pairs(first.hashes, second.hashes)),
    ):
        for rows, columns, distances, views in found:
            compared = ~skip[first.case[rows], second.case[columns]]
            for row, column, distance, view in zip(
                *(part[compared] for part in (rows, columns, distances, views)), strict=True
            ):
                pair = SlicePair(
                    int(first.hashes.index[row]),
                    int(second.hashes.index[column]),
                    int(distance),
                    _VIEW_NAMES[view],
                )
                pairs[kind, first.case[row], second.case[column]].append(pair)
    for (kind, row, column), slices in pairs.items():
        if kind == NEAR and (IDENTICAL, row, column) in pairs:
            continue
        slices.sort(key=lambda pair: (pair.distance, pair.left, pair.right))
        names = left.cases[row].case, right.cases[column].case
        yield Leak(kind, left.name, right.name, *names, tuple(slices))


@dataclass(frozen=True)
class _Slices:
    """All slices of a part: their hashes, and int64 [slices] the place of their case."""

    hashes: SliceHashes
    case: np.ndarray

    @classmethod
    def of(cls, part: SplitPart) -> _Slices:
        counts = [len(case.hashes) for case in part.cases]
        texts = (text for case in part.cases for text in case.hashes)
        return cls(parse_hashes(texts), np.repeat(np.arange(len(counts)), counts))

"""Masks as runs: the stretches of pixels that a row holds, from which components follow quickly.

A liver of ten million voxels is some fifty thousand runs. Finding which of them touch is a search
in a sorted list, and no second volume of labels is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix, csgraph

#: Steps from a row to those that touch it, (slices, rows), each pair once.
IN_VOLUME = ((0, 1), (1, -1), (1, 0), (1, 1))
IN_SLICE = ((0, 1),)


@dataclass(frozen=True)
class PixelRuns:
    """Runs of a mask [slices, rows, columns] in C order, int64 [runs] each.

    Attributes:
      shape: of the mask.
      line: slice * rows + row. start, end: columns ``start`` to ``end - 1`` are in the mask.
    """

    shape: tuple[int, int, int]
    line: np.ndarray
    start: np.ndarray
    end: np.ndarray

    @property
    def length(self) -> np.ndarray:
        """Pixels of each run."""
        return self.end - self.start

    @property
    def slice(self) -> np.ndarray:
        """The slice of each run."""
        return self.line // self.shape[1]

    @property
    def row(self) -> np.ndarray:
        """The row of each run within its slice."""
        return self.line % self.shape[1]

    def __len__(self) -> int:
        return len(self.line)

    def __getitem__(self, chosen: np.ndarray) -> PixelRuns:
        return PixelRuns(self.shape, self.line[chosen], self.start[chosen], self.end[chosen])


def runs_of(mask: np.ndarray, most: int | None = None) -> PixelRuns | None:
    """The runs of a mask, bool [slices, rows, columns]; None where there are more than ``most``."""
    return runs_of_slices(mask, mask.shape, most)


def runs_of_slices(
    masks: Iterable[np.ndarray], shape: tuple[int, int, int], most: int | None = None
) -> PixelRuns | None:
    """As :func:`runs_of`, of slices that come one by one: bool [rows, columns] each."""
    _, rows, columns = shape
    # A column of False on both sides: no run goes on in the next row.
    framed = np.zeros((rows, columns + 2), bool)
    flat = framed.reshape(-1)
    found, count = [], 0
    for index, mask in enumerate(masks):
        if not mask.any():
            continue
        framed[:, 1:-1] = mask
        edges = np.flatnonzero(flat[1:] != flat[:-1])
        found.append(edges + index * flat.size)
        count += len(edges) // 2
        if most is not None and count > most:
            return None
    edges = np.concatenate(found) if found else np.zeros(0, np.int64)
    line, column = np.divmod(edges, columns + 2)
    return PixelRuns(shape, line[::2], column[::2], column[1::2])


def _touching(
    runs: PixelRuns, steps: Sequence[tuple[int, int]], *, corners: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of runs that touch, as two arrays of their numbers; ``corners`` count too."""
    stride = runs.shape[2] + 1
    starts, ends = runs.line * stride + runs.start, runs.line * stride + runs.end
    pairs = []
    for slices, rows in steps:
        target = runs.row + rows
        there = np.flatnonzero((target >= 0) & (target < runs.shape[1]))
        shift = (slices * runs.shape[1] + rows) * stride
        first = np.searchsorted(ends, starts[there] + shift, "left" if corners else "right")
        after = np.searchsorted(starts, ends[there] + shift, "right" if corners else "left")
        count = np.maximum(after - first, 0)
        before = np.cumsum(count) - count
        ones = np.repeat(there, count)
        pairs.append((ones, np.arange(len(ones)) + np.repeat(first - before, count)))
    return tuple(np.concatenate(part) for part in zip(*pairs, strict=True))


def components(
    runs: PixelRuns, steps: Sequence[tuple[int, int]] = IN_VOLUME, *, corners: bool = True
) -> tuple[np.ndarray, int]:
    """The component of every run, numbered from 0 in the order of their first pixels.

    Args:
      steps: ``IN_VOLUME`` or ``IN_SLICE``. corners: 26 (8) neighbours, else 6 (4).

    Returns:
      int64 [runs], and how many components there are.
    """
    if not len(runs):
        return np.zeros(0, np.int64), 0
    ones, others = _touching(runs, steps, corners=corners)
    graph = coo_matrix((np.ones(len(ones), np.int8), (ones, others)), shape=(len(runs),) * 2)
    count, names = csgraph.connected_components(graph, directed=False)
    first = np.full(count, len(runs))
    np.minimum.at(first, names, np.arange(len(runs)))
    rank = np.empty(count, np.int64)
    rank[np.argsort(first)] = np.arange(count)
    return rank[names], count


def holes(runs: PixelRuns) -> PixelRuns:
    """The holes of a mask, slice by slice: what the border cannot reach by 4 neighbours."""
    inner = np.flatnonzero(runs.line[1:] == runs.line[:-1])
    gaps = PixelRuns(runs.shape, runs.line[inner], runs.end[inner], runs.start[inner + 1])
    if not len(gaps):
        return gaps
    open_gap = np.zeros(len(gaps), bool)
    for step in (-1, 1):
        row = gaps.row + step
        line = gaps.line + step
        first = np.searchsorted(runs.line, line, "left")
        after = np.searchsorted(runs.line, line, "right")
        empty = (row < 0) | (row >= runs.shape[1]) | (first == after)
        within = np.minimum(first, len(runs) - 1)
        open_gap |= empty | (gaps.start < runs.start[within])
        open_gap |= gaps.end > runs.end[np.maximum(after - 1, 0)]
    names, count = components(gaps, IN_SLICE, corners=False)
    reached = np.bincount(names, open_gap, minlength=count) > 0
    return gaps[~reached[names]]


def painted(*parts: PixelRuns) -> np.ndarray:
    """The mask of runs, bool [slices, rows, columns]."""
    mask = np.zeros(parts[0].shape, bool)
    flat = mask.reshape(-1)
    for runs in parts:
        begin = runs.line * runs.shape[2]
        ends = (begin + runs.end).tolist()
        for start, end in zip((begin + runs.start).tolist(), ends, strict=True):
            flat[start:end] = True
    return mask

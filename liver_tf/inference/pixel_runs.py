"""Masks as runs of pixels (stretches within a row), and connected components of runs.

A liver of ten million voxels is about fifty thousand runs. Which of them touch is a search in a
sorted list, so no second volume of labels is needed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix, csgraph

#: Offsets (slices, rows) to the neighbouring rows, each pair of rows once.
IN_VOLUME = ((0, 1), (1, -1), (1, 0), (1, 1))
IN_SLICE = ((0, 1),)


@dataclass(frozen=True)
class PixelRuns:
    """The runs of a mask [slices, rows, columns] in C order, int64 [runs] each.

    ``line`` is slice * rows + row, ``start`` the first column, ``end`` the one after the last.
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

    def __getitem__(self, chosen: np.ndarray) -> "PixelRuns":
        return PixelRuns(self.shape, self.line[chosen], self.start[chosen], self.end[chosen])

    def flat_ranges(self) -> Iterable[tuple[int, int]]:
        """Start and end of each run in the flattened mask."""
        first = self.line * self.shape[2]
        return zip((first + self.start).tolist(), (first + self.end).tolist(), strict=True)


def runs_of(
    masks: Iterable[np.ndarray], shape: tuple[int, int, int], limit: int | None = None
) -> PixelRuns | None:
    """The runs of a mask; None if there are more than ``limit``.

    ``masks`` are the slices, bool [rows, columns] each, which may be computed one by one.
    """
    _, rows, columns = shape
    # A column of False on both sides: no run continues in the next row.
    framed = np.zeros((rows, columns + 2), bool)
    flat = framed.reshape(-1)
    parts, count = [], 0
    for index, mask in enumerate(masks):
        if not mask.any():
            continue
        framed[:, 1:-1] = mask
        edges = np.flatnonzero(flat[1:] != flat[:-1])
        parts.append(edges + index * flat.size)
        count += len(edges) // 2
        if limit is not None and count > limit:
            return None
    edges = np.concatenate(parts) if parts else np.zeros(0, np.int64)
    line, column = np.divmod(edges, columns + 2)
    return PixelRuns(shape, line[::2], column[::2], column[1::2])


def components(
    runs: PixelRuns, offsets: Sequence[tuple[int, int]] = IN_VOLUME, *, corners: bool = True
) -> tuple[np.ndarray, int]:
    """The component of every run, int64 [runs], and the number of components.

    Components are numbered from 0 in the order of their first pixels. ``offsets`` are ``IN_VOLUME``
    or ``IN_SLICE``; with ``corners`` there are 26 (8) neighbours, else 6 (4).
    """
    if not len(runs):
        return np.zeros(0, np.int64), 0
    first, second = _touching(runs, offsets, corners=corners)
    graph = coo_matrix((np.ones(len(first), np.int8), (first, second)), shape=(len(runs),) * 2)
    count, names = csgraph.connected_components(graph, directed=False)
    _, earliest = np.unique(names, return_index=True)
    return np.argsort(np.argsort(earliest))[names], count


def _touching(
    runs: PixelRuns, offsets: Sequence[tuple[int, int]], *, corners: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of touching runs, as two arrays of their indices."""
    stride = runs.shape[2] + 1
    starts, ends = runs.line * stride + runs.start, runs.line * stride + runs.end
    pairs = []
    for slices, rows in offsets:
        target = runs.row + rows
        inside = np.flatnonzero((target >= 0) & (target < runs.shape[1]))
        shift = (slices * runs.shape[1] + rows) * stride
        first = np.searchsorted(ends, starts[inside] + shift, "left" if corners else "right")
        after = np.searchsorted(starts, ends[inside] + shift, "right" if corners else "left")
        count = np.maximum(after - first, 0)
        before = np.cumsum(count) - count
        repeated = np.repeat(inside, count)
        pairs.append((repeated, np.arange(len(repeated)) + np.repeat(first - before, count)))
    first, second = zip(*pairs, strict=True)
    return np.concatenate(first), np.concatenate(second)


def holes(runs: PixelRuns) -> PixelRuns:
    """The holes of a mask in each slice: background not connected to the border (4 neighbours)."""
    inner = np.flatnonzero(runs.line[1:] == runs.line[:-1])
    gaps = PixelRuns(runs.shape, runs.line[inner], runs.end[inner], runs.start[inner + 1])
    if not len(gaps):
        return gaps
    open_gap = np.zeros(len(gaps), bool)
    for offset in (-1, 1):
        row, line = gaps.row + offset, gaps.line + offset
        first = np.searchsorted(runs.line, line, "left")
        after = np.searchsorted(runs.line, line, "right")
        empty = (row < 0) | (row >= runs.shape[1]) | (first == after)
        within = np.minimum(first, len(runs) - 1)
        open_gap |= empty | (gaps.start < runs.start[within])
        open_gap |= gaps.end > runs.end[np.maximum(after - 1, 0)]
    names, count = components(gaps, IN_SLICE, corners=False)
    reached = np.bincount(names, open_gap, minlength=count) > 0
    return gaps[~reached[names]]


def paint(*parts: PixelRuns) -> np.ndarray:
    """The mask of runs, bool [slices, rows, columns]."""
    mask = np.zeros(parts[0].shape, bool)
    flat = mask.reshape(-1)
    for runs in parts:
        for start, end in runs.flat_ranges():
            flat[start:end] = True
    return mask

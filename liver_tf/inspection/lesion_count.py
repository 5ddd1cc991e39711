"""Counts the lesions of a scan while its slices are read."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

_EIGHT_NEIGHBOURS = np.ones((3, 3), bool)


class LesionCount:
    """Counts connected components by class, with one slice per class in memory.

    Args:
      stacked: whether the slices form a volume. If so, parts of consecutive slices are joined
        (26-connectivity); otherwise each part of a slice (8-connectivity) is a lesion.
    """

    def __init__(self, stacked: bool) -> None:
        self._stacked = stacked
        self._before: dict[int, tuple[int, np.ndarray]] = {}
        self._parent: list[int] = []
        self._joined = 0

    def add(self, number: int, labels: np.ndarray, lesion_labels: tuple[int, ...]) -> None:
        """Add the slice ``number``; ``labels`` are uint8 [rows, columns]."""
        present = np.bincount(labels.reshape(-1), minlength=max(lesion_labels, default=0) + 1)
        for label in lesion_labels:
            if not present[label]:
                continue
            parts, count = ndimage.label(labels == label, _EIGHT_NEIGHBOURS)
            first = len(self._parent)
            self._parent += range(first, first + count)
            # Parts are numbered from 1 throughout the scan; 0 is background.
            parts = np.where(parts > 0, parts + first, 0)
            before = self._before.get(label)
            if self._stacked:
                if before is not None and before[0] == number - 1:
                    self._join(before[1], parts)
                self._before[label] = (number, parts)

    @property
    def lesions(self) -> int:
        """Number of lesions so far."""
        return len(self._parent) - self._joined

    def _join(self, below: np.ndarray, here: np.ndarray) -> None:
        rows, columns = np.nonzero(below)
        size_rows, size_columns = below.shape
        pairs: set[tuple[int, int]] = set()
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                r, c = rows + down, columns + right
                inside = (r >= 0) & (r < size_rows) & (c >= 0) & (c < size_columns)
                touched = here[r[inside], c[inside]]
                touching = below[rows[inside], columns[inside]]
                pair = np.stack([touching[touched > 0], touched[touched > 0]], axis=1)
                pairs.update(map(tuple, np.unique(pair, axis=0).tolist()))
        for lower, upper in pairs:
            lower, upper = self._root(lower - 1), self._root(upper - 1)
            if lower != upper:
                self._parent[upper] = lower
                self._joined += 1

    def _root(self, part: int) -> int:
        while self._parent[part] != part:
            self._parent[part] = self._parent[self._parent[part]]
            part = self._parent[part]
        return part

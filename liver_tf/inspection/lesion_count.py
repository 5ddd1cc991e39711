"""How many lesions a scan holds, counted while its slices go by."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

_EIGHT_NEIGHBOURS = np.ones((3, 3), bool)


class LesionCount:
    """Counts the parts of each class that hang together, with at most one slice in memory.

    Args:
      stacked: whether slices follow each other without a gap. Then parts are joined across them
        (26 neighbours); else each part of a slice counts by itself.
    """

    def __init__(self, stacked: bool) -> None:
        self._stacked = stacked
        self._before: dict[int, tuple[int, np.ndarray]] = {}
        self._parent: list[int] = []
        self._joined = 0

    def add(self, number: int, labels: np.ndarray, lesion_labels: tuple[int, ...]) -> None:
        """Take the slice ``number`` into account; ``labels`` are uint8 [rows, columns]."""
        present = np.bincount(labels.reshape(-1), minlength=max(lesion_labels, default=0) + 1)
        for label in lesion_labels:
            if not present[label]:
                continue
            parts, count = ndimage.label(labels == label, _EIGHT_NEIGHBOURS)
            first = len(self._parent)
            self._parent += range(first, first + count)
            # Numbers of this scan's parts, 0 where there is none.
            parts = np.where(parts > 0, parts + first, 0)
            before = self._before.get(label)
            if self._stacked:
                if before is not None and before[0] == number - 1:
                    self._join(before[1], parts)
                self._before[label] = (number, parts)

    @property
    def lesions(self) -> int:
        """Lesions so far."""
        return len(self._parent) - self._joined

    def _join(self, below: np.ndarray, here: np.ndarray) -> None:
        rows, columns = np.nonzero(below)
        size_rows, size_columns = below.shape
        pairs = set()
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                r, c = rows + down, columns + right
                inside = (r >= 0) & (r < size_rows) & (c >= 0) & (c < size_columns)
                touched = here[r[inside], c[inside]]
                own = below[rows[inside], columns[inside]]
                met = np.stack([own[touched > 0], touched[touched > 0]], axis=1)
                pairs.update(map(tuple, np.unique(met, axis=0).tolist()))
        for one, other in pairs:
            one, other = self._root(one - 1), self._root(other - 1)
            if one != other:
                self._parent[other] = one
                self._joined += 1

    def _root(self, part: int) -> int:
        while self._parent[part] != part:
            self._parent[part] = self._parent[self._parent[part]]
            part = self._parent[part]
        return part

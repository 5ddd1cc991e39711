"""Counts the lesions of a scan while its slices are read."""

import numpy as np
from scipy import ndimage, sparse

EIGHT_NEIGHBOURS = np.ones((3, 3), bool)


class LesionCount:
    """Counts connected components by class, with one slice per class in memory.

    Args:
      stacked: whether the slices form a volume. If so, parts of consecutive slices are joined
        (26-connectivity); otherwise each part of a slice (8-connectivity) is a lesion.
    """

    def __init__(self, stacked: bool) -> None:
        self._stacked = stacked
        self._parts = 0
        self._joins = [np.empty((0, 2), int)]
        self._previous: dict[int, tuple[int, np.ndarray]] = {}

    def add(self, number: int, labels: np.ndarray, lesion_labels: tuple[int, ...]) -> None:
        """Add the slice ``number``; ``labels`` are uint8 [rows, columns]."""
        present = np.bincount(labels.reshape(-1), minlength=max(lesion_labels, default=0) + 1)
        for label in lesion_labels:
            if not present[label]:
                continue
            parts, count = ndimage.label(labels == label, EIGHT_NEIGHBOURS)
            # Parts are numbered from 1 throughout the scan; 0 is background.
            parts[parts > 0] += self._parts
            self._parts += count
            if self._stacked:
                below, previous = self._previous.get(label, (None, parts))
                if below == number - 1:
                    self._joins.append(_touching_parts(previous, parts))
                self._previous[label] = (number, parts)

    @property
    def lesions(self) -> int:
        """Number of lesions so far."""
        lower, upper = np.concatenate(self._joins).T - 1
        size = (self._parts, self._parts)
        graph = sparse.coo_matrix((np.ones(len(lower), bool), (lower, upper)), size)
        return sparse.csgraph.connected_components(graph, directed=False)[0]


def _touching_parts(below: np.ndarray, here: np.ndarray) -> np.ndarray:
    """Pairs of parts that link all touching parts of two consecutive slices: int [pairs, 2]."""
    stack = np.stack([below, here])
    components, count = ndimage.label(stack, np.ones((3, 3, 3)))
    component_of = np.zeros(stack.max() + 1, int)
    component_of[stack] = components
    part_of = np.zeros(count + 1, int)
    part_of[components] = stack
    parts = np.flatnonzero(component_of)
    return np.stack([parts, part_of[component_of[parts]]], axis=1)

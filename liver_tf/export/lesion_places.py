"""Where the lesions of a list lie in their label map, slice by slice, so that they can be shown."""

from __future__ import annotations

from collections.abc import Sequence

import cc3d
import numpy as np
from scipy.ndimage import find_objects

from liver_tf.inference.lesions import Lesion
from liver_tf.labels import LIVER

#: First row, first column, last row, last column, and the last column of the first row, in pixels:
#: the lesion's box in a slice, and where it can be named without a doubt which one is meant.
Place = tuple[int, int, int, int, int]


def lesion_places(labels: np.ndarray, lesions: Sequence[Lesion]) -> list[dict[int, Place]]:
    """The place of every lesion in every slice that it reaches.

    Lesions are found again as the components that they are (26 neighbours), and told apart by
    their slices and voxels; of two that agree in both, the one of the lower number comes first.

    Args:
      labels: uint8 [slices, rows, columns], from which the lesions were taken.

    Returns:
      For each lesion its places by slice; empty for one that is no component of the label map.
    """
    corner, components, count = _components(labels)
    voxels = cc3d.statistics(components)["voxel_counts"] if count else []
    known = _places(components, count, corner)
    found: dict[tuple[int, int, int], list[int]] = {}
    for number in range(1, count + 1):
        slices = known[number]
        found.setdefault((min(slices), max(slices), int(voxels[number])), []).append(number)
    places = []
    for lesion in lesions:
        numbers = found.get((*map(int, lesion.slices), int(lesion.voxels)))
        places.append(known[numbers.pop(0)] if numbers else {})
    return places


def _components(labels: np.ndarray) -> tuple[tuple[int, ...], np.ndarray, int]:
    """First slice, row and column of the box of all lesions, components within, and their count.

    Components take four bytes a voxel, so those of a whole scan would be the largest thing here.
    """
    along = [np.array([(one > LIVER).any() for one in labels])]
    along += [np.zeros(length, bool) for length in labels.shape[1:]]
    for index in np.flatnonzero(along[0]):
        along[1] |= (labels[index] > LIVER).any(axis=1)
        along[2] |= (labels[index] > LIVER).any(axis=0)
    if not along[0].any():
        return (0, 0, 0), np.zeros((0, 0, 0), np.uint32), 0
    inside = [np.flatnonzero(one)[[0, -1]] for one in along]
    box = tuple(slice(first, last + 1) for first, last in inside)
    mask = np.ascontiguousarray(labels[box] > LIVER)
    components, count = cc3d.connected_components(mask, connectivity=26, return_N=True)
    return tuple(int(first) for first, _ in inside), components, count


def _places(
    components: np.ndarray, count: int, corner: tuple[int, ...]
) -> dict[int, dict[int, Place]]:
    known: dict[int, dict[int, Place]] = {number: {} for number in range(1, count + 1)}
    first_slice, row, column = corner
    for index, one in enumerate(components, start=first_slice):
        for number, box in enumerate(find_objects(one), start=1):
            if box is None:
                continue
            rows, columns = box
            top = np.flatnonzero(one[rows.start, columns] == number)[-1]
            known[number][index] = (
                rows.start + row,
                columns.start + column,
                rows.stop - 1 + row,
                columns.stop - 1 + column,
                columns.start + int(top) + column,
            )
    return known

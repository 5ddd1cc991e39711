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
    components, count = cc3d.connected_components(
        np.ascontiguousarray(labels > LIVER).astype(np.uint8), connectivity=26, return_N=True
    )
    voxels = cc3d.statistics(components)["voxel_counts"] if count else []
    known = _places(components, count)
    found: dict[tuple[int, int, int], list[int]] = {}
    for number in range(1, count + 1):
        slices = known[number]
        found.setdefault((min(slices), max(slices), int(voxels[number])), []).append(number)
    places = []
    for lesion in lesions:
        numbers = found.get((*map(int, lesion.slices), int(lesion.voxels)))
        places.append(known[numbers.pop(0)] if numbers else {})
    return places


def _places(components: np.ndarray, count: int) -> dict[int, dict[int, Place]]:
    known: dict[int, dict[int, Place]] = {number: {} for number in range(1, count + 1)}
    for index, one in enumerate(components):
        for number, box in enumerate(find_objects(one), start=1):
            if box is None:
                continue
            rows, columns = box
            top = np.flatnonzero(one[rows.start, columns] == number)
            place = (rows.start, columns.start, rows.stop - 1, columns.stop - 1)
            known[number][index] = (*place, columns.start + int(top[-1]))
    return known

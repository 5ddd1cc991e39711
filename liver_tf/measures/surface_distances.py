"""Surface distances in mm: 95 % Hausdorff distance and average symmetric surface distance.

The surface of a mask consists of its pixels with an edge neighbour (4 in a slice, 6 in a volume)
outside the mask; all pixels beyond the image count as outside. Distances are measured between
pixel centres, from each surface pixel of one mask to the nearest of the other. These are the
definitions of MONAI and of Metrics Reloaded (Maier-Hein et al., Nature Methods 2024);
``python -m benchmarks.measures`` compares the results with MONAI's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

PERCENT = 95.0


@dataclass(frozen=True)
class SurfaceDistances:
    """Distances between two surfaces.

    Attributes:
      hd95_mm: the larger of the two directed 95th percentiles (linear interpolation).
      assd_mm: mean of the distances of both directions together.
    """

    hd95_mm: float
    assd_mm: float


def surface_distances(
    truth: np.ndarray, predicted: np.ndarray, spacing_mm: Sequence[float] | None
) -> SurfaceDistances | None:
    """Distances between the surfaces of two masks, bool of the same 2-D or 3-D shape.

    None if truth or prediction is empty or the spacing is unknown. A missed lesion is therefore not
    in the mean distance; Success and Dice2 count it.

    Raises:
      ValueError: shapes differ, or the spacing is not one positive number per axis.
    """
    if truth.shape != predicted.shape:
        raise ValueError(
            f"expected masks of the same shape; found {truth.shape} and {predicted.shape}"
        )
    if spacing_mm is None:
        return None
    if len(spacing_mm) != truth.ndim or not all(0 < step < np.inf for step in spacing_mm):
        raise ValueError(
            f"expected a positive spacing in mm for each of {truth.ndim} axes; found {spacing_mm}"
        )
    if not (truth.any() and predicted.any()):
        return None
    truth, predicted = _cropped(truth, predicted)
    first, second = surface(truth), surface(predicted)
    there = ndimage.distance_transform_edt(~second, sampling=spacing_mm)[first]
    back = ndimage.distance_transform_edt(~first, sampling=spacing_mm)[second]
    return SurfaceDistances(
        hd95_mm=float(max(np.percentile(there, PERCENT), np.percentile(back, PERCENT))),
        assd_mm=float(np.concatenate([there, back]).mean()),
    )


def surface(mask: np.ndarray) -> np.ndarray:
    """The surface pixels of a mask; bool of the same shape."""
    rim: np.ndarray = mask & ~ndimage.binary_erosion(mask)
    return rim


def _cropped(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both masks cropped to their common bounding box, padded by one pixel."""
    (box,) = ndimage.find_objects((first | second).astype(np.uint8))
    return np.pad(first[box], 1), np.pad(second[box], 1)

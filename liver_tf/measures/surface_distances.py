"""How far two outlines lie apart, in mm: Hausdorff distance at 95 % and average surface distance.

The surface of a mask is its pixels of which a neighbour across an edge (4 in a slice, 6 in a
volume) is outside; outside the image is outside the mask. From every surface pixel of one mask the
distance to the nearest surface pixel of the other is taken between centres, in mm. These are the
definitions of MONAI and of Metrics Reloaded (Maier-Hein et al., Nature Methods 2024);
``python -m benchmarks.measures`` holds ours against MONAI's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

PERCENT = 95.0


@dataclass(frozen=True)
class SurfaceDistances:
    """Distances between two surfaces.

    Attributes:
      hd95_mm: the larger of the two directed 95th percentiles (linear between ranks).
      assd_mm: mean over the distances of both directions taken together.
    """

    hd95_mm: float
    assd_mm: float


def surface_distances(
    truth: np.ndarray, predicted: np.ndarray, spacing_mm: Sequence[float] | None
) -> SurfaceDistances | None:
    """Distances between the surfaces of two masks.

    Args:
      truth, predicted: bool, same shape, [rows, columns] or [slices, rows, columns].
      spacing_mm: one step per axis; None where unknown.

    Returns:
      None where there is no distance: truth or prediction is empty (or both are), or the spacing
      is unknown. A missed lesion therefore leaves the mean distance; Success and Dice2 count it.

    Raises:
      ValueError: shapes differ, or there is not one positive step per axis.
    """
    if truth.shape != predicted.shape:
        raise ValueError(f"expected masks of one shape; got {truth.shape} and {predicted.shape}")
    if spacing_mm is None:
        return None
    if len(spacing_mm) != truth.ndim or not all(0 < step < np.inf for step in spacing_mm):
        raise ValueError(
            f"expected a positive spacing in mm for each of {truth.ndim} axes; got {spacing_mm}"
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
    """The pixels of a mask that touch what is outside; bool of the same shape."""
    return mask & ~ndimage.binary_erosion(mask)


def _cropped(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both masks within the box that holds both, with a rim of one pixel that is outside."""
    (box,) = ndimage.find_objects((first | second).astype(np.uint8))
    return np.pad(first[box], 1), np.pad(second[box], 1)

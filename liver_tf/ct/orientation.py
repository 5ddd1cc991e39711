"""Conversion between the array axes of a file and canonical orientation (:mod:`liver_tf.ct.scan`).

Axes are permuted and reversed only; no voxel is interpolated.
"""

import itertools
import math

import numpy as np

from liver_tf.ct.scan import Placed, SourceGrid

# World axis (0 = right, 1 = anterior, 2 = superior in RAS+) along which each canonical axis runs,
# and the sign: slices to superior, rows to posterior, columns to left.
_CANONICAL_WORLD = ((2, 1.0), (1, -1.0), (0, -1.0))

#: A larger angle between a voxel axis and its body axis counts as oblique, in degrees.
OBLIQUE_DEGREES = 0.5


def canonical_axes(
    affine: np.ndarray,
) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """Axes and flips (as in ``SourceGrid``) from a file's array to canonical orientation.

    Args:
      affine: [4, 4], file voxel index to patient mm in RAS+; finite and invertible.
    """
    cosines = _direction_cosines(affine)
    slices, rows, columns = max(
        itertools.permutations(range(3)),
        key=lambda order: sum(
            abs(cosines[world, axis])
            for (world, _), axis in zip(_CANONICAL_WORLD, order, strict=True)
        ),
    )
    axes = slices, rows, columns
    flip_slices, flip_rows, flip_columns = (
        bool(cosines[world, axis] * sign < 0)
        for (world, sign), axis in zip(_CANONICAL_WORLD, axes, strict=True)
    )
    return axes, (flip_slices, flip_rows, flip_columns)


def oblique_degrees(affine: np.ndarray) -> float:
    """Largest angle between a voxel axis and its body axis, in degrees."""
    cosines = _direction_cosines(affine)
    axes, _ = canonical_axes(affine)
    return max(
        math.degrees(math.acos(min(1.0, abs(cosines[world, axis]))))
        for (world, _), axis in zip(_CANONICAL_WORLD, axes, strict=True)
    )


def to_canonical(stored: np.ndarray, grid: SourceGrid) -> np.ndarray:
    """View of a file's array as canonical [slices, rows, columns]."""
    view: np.ndarray = stored.transpose(grid.axes)
    return view[tuple(slice(None, None, -1) if flip else slice(None) for flip in grid.flips)]


def from_canonical(canonical: np.ndarray, grid: SourceGrid) -> np.ndarray:
    """The inverse of :func:`to_canonical`, also a view."""
    view: np.ndarray = canonical[
        tuple(slice(None, None, -1) if flip else slice(None) for flip in grid.flips)
    ]
    return view.transpose(np.argsort(grid.axes))


def canonical_affine(stored_affine: np.ndarray, grid: SourceGrid) -> np.ndarray:
    """float64 [4, 4], canonical index to patient mm, from the affine of the file's array."""
    affine: np.ndarray = stored_affine @ _canonical_to_stored(grid)
    return affine


def stored_affine(scan: Placed) -> np.ndarray:
    """float64 [4, 4], index into the file's array to patient mm in RAS+."""
    affine: np.ndarray = scan.affine @ np.linalg.inv(_canonical_to_stored(scan.source))
    return affine


def index_in_file(points: np.ndarray, grid: SourceGrid) -> np.ndarray:
    """Canonical (slice, row, column) to indices in the file's array, float64 [points, 3]."""
    transform = _canonical_to_stored(grid)
    index: np.ndarray = np.asarray(points, np.float64) @ transform[:3, :3].T + transform[:3, 3]
    return index


def spacing_of(affine: np.ndarray) -> tuple[float, float, float]:
    """Distance of neighbouring voxels in mm along each of the three array axes."""
    first, second, third = (float(length) for length in np.linalg.norm(affine[:3, :3], axis=0))
    return first, second, third


def _canonical_to_stored(grid: SourceGrid) -> np.ndarray:
    transform = np.zeros((4, 4))
    transform[3, 3] = 1.0
    for canonical, (axis, flip) in enumerate(zip(grid.axes, grid.flips, strict=True)):
        transform[axis, canonical] = -1.0 if flip else 1.0
        transform[axis, 3] = grid.shape[axis] - 1.0 if flip else 0.0
    return transform


def _direction_cosines(affine: np.ndarray) -> np.ndarray:
    columns = np.asarray(affine, dtype=np.float64)[:3, :3]
    cosines: np.ndarray = columns / np.linalg.norm(columns, axis=0)
    return cosines

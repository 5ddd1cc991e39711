"""The longest in-plane diameter of lesions, as measured by RECIST 1.1.

Eisenhauer et al., "New response evaluation criteria in solid tumours: revised RECIST guideline
(version 1.1)", Eur J Cancer 45 (2009).
"""

import numpy as np
from scipy.spatial import ConvexHull

from liver_tf.inference.pixel_runs import IN_SLICE, PixelRuns, components

#: With more points it is faster to take their convex hull first.
_MANY_POINTS = 100


def longest_diameters(
    runs: PixelRuns, lesions: np.ndarray, count: int, pixel_mm: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The longest in-plane diameter of every lesion.

    The greatest distance between two pixel corners of a part of the lesion that is connected within
    one slice (8 neighbours). The line may leave a lesion that is not convex.

    Args:
      runs: Of the lesion mask.
      lesions: int [runs], the lesion of each run, from 0 to ``count`` - 1.
      pixel_mm: (row, column) spacing.

    Returns:
      float64 [lesions], mm; int64 [lesions], the slice of each (the first of equals); int64
      [lesions, 2, 2], the row and column of both ends, of the corners of pixels from 0.
    """
    longest, where = np.zeros(count), np.zeros(count, np.int64)
    ends = np.zeros((count, 2, 2), np.int64)
    if not len(runs):
        return longest, where, ends
    parts, many = components(runs, IN_SLICE)
    order = np.argsort(parts, kind="stable")
    first = np.searchsorted(parts[order], np.arange(many))
    row, start, end = runs.row[order], runs.start[order], runs.end[order]
    height = np.maximum.reduceat(row, first) + 1 - np.minimum.reduceat(row, first)
    width = np.maximum.reduceat(end, first) - np.minimum.reduceat(start, first)
    bound = np.hypot(height * pixel_mm[0], width * pixel_mm[1])
    lesion_of, slice_of = lesions[order[first]], runs.slice[order[first]]
    after = np.append(first[1:], len(order))
    for part in np.lexsort((slice_of, -bound)):
        lesion = lesion_of[part]
        if bound[part] < longest[lesion]:
            continue
        these = slice(first[part], after[part])
        length, line = _longest(row[these], start[these], end[these], pixel_mm)
        earlier = length == longest[lesion] and slice_of[part] < where[lesion]
        if length > longest[lesion] or earlier:
            longest[lesion], where[lesion], ends[lesion] = length, slice_of[part], line
    return longest, where, ends


def _longest(
    row: np.ndarray, start: np.ndarray, end: np.ndarray, pixel_mm: tuple[float, float]
) -> tuple[float, np.ndarray]:
    """The greatest distance between corners of pixels of runs in one slice, in mm; both corners."""
    rows = np.concatenate([row, row, row + 1, row + 1])
    columns = np.concatenate([start, end, start, end])
    corners = np.stack([rows, columns], axis=1)
    points = corners * pixel_mm
    if len(points) > _MANY_POINTS:
        hull = ConvexHull(points).vertices
        corners, points = corners[hull], points[hull]
    squares = ((points[:, None] - points[None]) ** 2).sum(-1)
    ends = corners[list(np.unravel_index(squares.argmax(), squares.shape))]
    return float(np.sqrt(squares.max())), ends

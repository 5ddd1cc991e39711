"""Remove lesions whose largest section in a slice is below a minimum area, and flat ones.

Their pixels become liver inside the liver and background elsewhere. ``scan_graph`` does the same
for scans as a graph.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from liver_tf.inference.graph_components_2d import component_sizes
from liver_tf.inference.lesion_components import LesionComponents
from liver_tf.inference.postprocessing import PostProcessing
from liver_tf.inference.roi_box import NOMINAL_SPACING_MM
from liver_tf.labels import LIVER


def least_pixels(spacing_mm: tf.Tensor, how: PostProcessing) -> tf.Tensor:
    """``least_area_mm2`` in pixels, int32 [batch], by ``spacing_mm`` float32 [batch, 2].

    NaN or 0 stands for the nominal spacing.
    """
    known = tf.where(spacing_mm > 0.0, spacing_mm, NOMINAL_SPACING_MM)
    # Tolerates rounding errors of up to a thousandth of a pixel.
    pixels = how.least_area_mm2 / tf.reduce_prod(known, axis=1)
    return tf.cast(tf.math.ceil(pixels - 1e-3), tf.int32)


def without_small(labels: np.ndarray, liver: np.ndarray, least: int) -> np.ndarray:
    """Remove lesions whose largest section has fewer than ``least`` pixels (26 neighbours).

    Args:
      labels: uint8 [slices, rows, columns], changed in place.
      liver: bool of the same shape.

    Returns:
      Which of the lesion voxels were kept, bool [lesion voxels before] in C order.
    """
    lesions = LesionComponents.of_labels(labels)
    return _keep(lesions, lesions.largest_sections() >= least, labels, liver)


def without_flat(
    labels: np.ndarray, liver: np.ndarray, spacing_mm: Sequence[float], share: float
) -> np.ndarray:
    """Remove lesions whose extent through the slices is below ``share`` of their diameter.

    The diameter is that of a disc with the area of the largest section. Lesions in the first or
    last slice are kept: they may continue.

    Args:
      labels, liver, result: As for ``without_small``.
      spacing_mm: (slice, row, column).
    """
    lesions = LesionComponents.of_labels(labels)
    first, last = np.array(lesions.slices(), np.int64).reshape(-1, 2).T
    between, down, across = spacing_mm
    diameter_mm = 2 * np.sqrt(lesions.largest_sections() * down * across / np.pi)
    at_the_end = (first == 0) | (last == len(labels) - 1)
    kept = at_the_end | ((last - first + 1) * between >= share * diameter_mm)
    return _keep(lesions, kept, labels, liver)


def _keep(
    lesions: LesionComponents, kept: np.ndarray, labels: np.ndarray, liver: np.ndarray
) -> np.ndarray:
    of_runs = kept[lesions.index]
    flat, inside = labels.reshape(-1), liver.reshape(-1)
    for start, end in lesions.runs[~of_runs].flat_ranges():
        flat[start:end] = inside[start:end] * LIVER
    return np.repeat(of_runs, lesions.runs.length)


def without_small_2d(labels: tf.Tensor, liver: tf.Tensor, least: tf.Tensor) -> tf.Tensor:
    """As ``without_small`` for slices, each on its own (8 neighbours), as a graph.

    ``labels`` int32 and ``liver`` bool [batch, rows, columns]; ``least`` int32 [batch].
    """
    small = (labels > LIVER) & (component_sizes(labels > LIVER) < least[:, None, None])
    return tf.where(small, tf.cast(liver, labels.dtype) * LIVER, labels)

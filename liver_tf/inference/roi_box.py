"""The ROI box: a square around the liver, with a margin in mm."""

import numpy as np
import tensorflow as tf

from liver_tf.inference.roi_rule import RoiRule
from liver_tf.records.record_schema import Box

#: Pixel spacing assumed where it is unknown (a typical abdominal CT).
NOMINAL_SPACING_MM = 0.75

#: Slices of a scan whose boxes are computed together.
_GROUP = 32


def square_boxes(
    livers: tf.Tensor, spacing_mm: tf.Tensor, rule: RoiRule
) -> tuple[tf.Tensor, tf.Tensor]:
    """The box around the liver of every slice.

    Args:
      livers: bool [batch, rows, columns].
      spacing_mm: float32 [batch or 1, 2], (row, column); NaN or 0 where unknown.

    Returns:
      Boxes int32 [batch, 3] (first row, first column, side in pixels) centred on the bounding box
      of the liver, which may extend beyond the slice; and bool [batch], whether there is liver.
      For a slice without liver the box is a meaningless pixel in the corner.
    """
    known = tf.where(spacing_mm > 0.0, spacing_mm, NOMINAL_SPACING_MM)
    # Not reduce_mean: OpenVINO 2026.4 computes another value for it in the graph of the cascade.
    pixel_mm = (known[:, 0] + known[:, 1]) / 2.0
    first_row, height = _extent(tf.reduce_any(livers, axis=2))
    first_column, width = _extent(tf.reduce_any(livers, axis=1))
    margin = 2.0 * rule.margin_mm / pixel_mm
    least = rule.least_side_mm / pixel_mm
    side = tf.math.ceil(tf.maximum(tf.maximum(height, width) + margin, least))
    row = tf.floor(first_row + (height - side) / 2.0)
    column = tf.floor(first_column + (width - side) / 2.0)
    boxes = tf.stack([row, column, side], axis=1)
    found = tf.reduce_any(livers, axis=[1, 2])
    boxes = tf.where(found[:, None], boxes, tf.constant([[0.0, 0.0, 1.0]]))
    return tf.cast(boxes, tf.int32), found


def _extent(occupied: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """First True index and the length up to the last one, float32 [batch], of bool [batch, n]."""
    index = tf.range(tf.shape(occupied)[1])[None, :]
    first = tf.reduce_min(tf.where(occupied, index, tf.shape(occupied)[1]), axis=1)
    last = tf.reduce_max(tf.where(occupied, index, -1), axis=1)
    return tf.cast(first, tf.float32), tf.cast(last - first + 1, tf.float32)


def boxes_of_scan(
    livers: np.ndarray, spacing_mm: tuple[float, float] | None, rule: RoiRule
) -> list[Box | None]:
    """The box of every slice of a scan; None for slices without liver.

    With ``extent="volume"`` all slices share the box of the union. ``spacing_mm`` is (row, column).
    """
    of_volume = rule.extent == "volume"
    masks = np.any(livers, axis=0, keepdims=True) if of_volume else livers
    spacing = tf.constant([spacing_mm or (0.0, 0.0)], tf.float32)
    boxes: list[Box | None] = []
    for first in range(0, len(masks), _GROUP):
        squares, found = square_boxes(tf.constant(masks[first : first + _GROUP]), spacing, rule)
        pairs = zip(squares.numpy().tolist(), found.numpy(), strict=True)
        boxes += [Box(*square) if has_liver else None for square, has_liver in pairs]
    return boxes * len(livers) if of_volume else boxes


def windows_of(boxes: tf.Tensor, size: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Windows of one size within slices of ``size``, around boxes int32 [batch, 3].

    Returns:
      First row and column of each window, int32 [batch, 2], and the size of all, int32 [2].
    """
    window = tf.minimum(tf.reduce_max(boxes[:, 2]), size)
    return tf.clip_by_value(boxes[:, :2], 0, size - window), window


def paste(windows: tf.Tensor, origin: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Put windows [batch, r, c] into slices of ``size`` [rows, columns]; 0 elsewhere."""
    for axis in (1, 2):
        index = tf.range(size[axis - 1])[None] - origin[:, axis - 1, None]
        length = tf.shape(windows)[axis]
        inside = (index >= 0) & (index < length)
        index = tf.clip_by_value(index, 0, length - 1)
        windows = tf.gather(windows, index, axis=axis, batch_dims=1)
        windows = tf.where(tf.expand_dims(inside, 3 - axis), windows, tf.zeros_like(windows))
    return windows


def crop(pixels: np.ndarray, box: Box, outside: float) -> np.ndarray:
    """Cut a box out of a slice [rows, columns]; pixels beyond the border become ``outside``."""
    cut = np.full((box.side, box.side), outside, pixels.dtype)
    top, left = max(box.row, 0), max(box.column, 0)
    inside = pixels[top : max(box.row + box.side, 0), left : max(box.column + box.side, 0)]
    row, column = top - box.row, left - box.column
    cut[row : row + inside.shape[0], column : column + inside.shape[1]] = inside
    return cut

"""Lesion-safe cropping: geometry is reduced until all lesions stay inside the frame."""

import tensorflow as tf

#: Maximum displacement in slices with lesions, as a share of the image's side. This margin must
#: stay free around the lesions; a strong deformation would otherwise shrink the image too much.
MAX_DISPLACEMENT = 0.1

_FAR = 1e9


def reduce_deformation(control: tf.Tensor, labels: tf.Tensor, kept_from: tf.Tensor) -> tf.Tensor:
    """Reduce the deformation of slices that have lesions to be kept.

    Args:
      control: float32 [batch, points, points, 2] from ``elastic.draw_control``, shares of the side.

    Returns:
      The control points, scaled to at most ``MAX_DISPLACEMENT`` in each such slice; unchanged, bit
      for bit, if they are below it.
    """
    present = tf.reduce_any(tf.cast(labels, tf.int32) >= kept_from[:, None, None], axis=[1, 2])
    furthest = tf.reduce_max(tf.abs(control), axis=[1, 2, 3])
    scale = tf.where(present, MAX_DISPLACEMENT / tf.maximum(furthest, MAX_DISPLACEMENT), 1.0)
    return control * scale[:, None, None, None]


def keep_inside(
    transform: tf.Tensor,
    labels: tf.Tensor,
    kept_from: tf.Tensor,
    margin: tuple[tf.Tensor, tf.Tensor],
) -> tf.Tensor:
    """Clamp the shift and reduce the zoom of a transform so that lesions stay inside the frame.

    Rotation and mirroring are kept. A transform that keeps all lesions inside, or a slice without
    lesions, is unchanged bit for bit.

    Args:
      transform: float32 [batch, 6] for ``warp.source_lines``.
      labels: uint8 [batch, rows, columns].
      kept_from: int32 [batch]; pixels with this label or a higher one are lesions.
      margin: float32 [batch] along columns and rows: pixels reserved for displacements.

    Returns:
      float32 [batch, 6]: the centre of every lesion pixel is inside the frame.
    """
    shape = tf.shape(labels)
    height, width = tf.cast(shape[1], tf.float64), tf.cast(shape[2], tf.float64)
    # In double precision, like ``warp.source_lines``: the same on every device.
    a, b, c, d, e, f = tf.unstack(tf.cast(transform, tf.float64), axis=1)
    margin = tuple(tf.cast(pixels, tf.float64) for pixels in margin)
    area = a * e - b * d
    edges = _edges(tf.cast(labels, tf.int32) >= kept_from[:, None, None])
    # Extent of the lesions about the centre before the shift, and the shift in these coordinates.
    x_low, x_high = _extremes(edges, e / area, -b / area)
    y_low, y_high = _extremes(edges, -d / area, a / area)
    x_shift = (e * c * width - b * f * height) / area
    y_shift = (a * f * height - d * c * width) / area
    x_room = tf.maximum((width - 1.0) / 2.0 - margin[0], 0.5)
    y_room = tf.maximum((height - 1.0) / 2.0 - margin[1], 0.5)
    shrink = tf.maximum((x_high - x_low) / (2.0 * x_room), (y_high - y_low) / (2.0 * y_room))
    shrink = tf.maximum(shrink, 1.0)
    x = tf.clip_by_value(x_shift, x_high / shrink - x_room, x_low / shrink + x_room)
    y = tf.clip_by_value(y_shift, y_high / shrink - y_room, y_low / shrink + y_room)
    a, b, d, e = a * shrink, b * shrink, d * shrink, e * shrink
    moderated = tf.stack([a, b, (a * x + b * y) / width, d, e, (d * x + e * y) / height], axis=1)
    moderated = tf.cast(moderated, tf.float32)
    # Without a lesion the low extreme is above the high one.
    needed = (x_low <= x_high) & ((shrink > 1.0) | (x != x_shift) | (y != y_shift))
    return tf.where(needed[:, None], moderated, transform)


def _edges(kept: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Leftmost and rightmost lesion pixel of each row, the row, and whether there is one.

    A linear function of position has its extremes at these pixels. Positions are relative to the
    centre, in pixels, [batch or 1, rows].
    """
    shape = tf.shape(kept)
    x, y = (
        tf.range(tf.cast(side, tf.float64), dtype=tf.float64)
        - (tf.cast(side, tf.float64) - 1.0) / 2.0
        for side in (shape[2], shape[1])
    )
    far = tf.constant(_FAR, tf.float64)
    left = tf.reduce_min(tf.where(kept, x, far), axis=2)
    right = tf.reduce_max(tf.where(kept, x, -far), axis=2)
    return left, right, y[None], tf.reduce_any(kept, axis=2)


def _extremes(edges, of_x: tf.Tensor, of_y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    left, right, y, there = edges
    ends = of_x[:, None] * left, of_x[:, None] * right
    y = of_y[:, None] * y
    far = tf.constant(_FAR, tf.float64)
    low = tf.where(there, tf.minimum(*ends) + y, far)
    high = tf.where(there, tf.maximum(*ends) + y, -far)
    return tf.reduce_min(low, axis=1), tf.reduce_max(high, axis=1)

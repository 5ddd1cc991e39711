"""Restores small lesions that fall between the pixels of a zoomed or rotated label map."""

import tensorflow as tf

from liver_tf.pipeline.augmentation import warp

#: Iterations to find the destination of a displaced pixel; the remaining error is below a pixel.
_STEPS = 16


def restore(
    labels: tf.Tensor,
    moved: tf.Tensor,
    kept_from: tf.Tensor,
    points: tuple[tf.Tensor, tf.Tensor],
    transform: tf.Tensor,
    displacement: tuple[tf.Tensor, tf.Tensor] | None,
) -> tf.Tensor:
    """Add at least one pixel of every lesion in ``labels`` to ``moved``.

    Nearest-neighbour interpolation may skip a lesion of one or two pixels. Its pixels are written
    to the output pixels nearest to their destinations; all other pixels are unchanged. If lesions
    with different labels share a destination, only one is kept.

    Args:
      labels: uint8 [batch, rows, columns], before the transform.
      moved: The same after the transform.
      kept_from: int32 [batch]; pixels with this label or a higher one are lesions.
      points: From ``warp.source_points`` or ``warp.displaced``.
      transform: float32 [batch, 6], which keeps lesions inside the frame.
      displacement: As for ``warp.displaced``.
    """
    shape = tf.shape(labels)
    before = tf.cast(labels, tf.int32)
    sources = tf.ones_like(before)
    sources = _scattered(sources, *warp.nearest_pixels(*points), tf.ones_like(before, tf.bool)) > 0
    # Adjacent pixels of one label are one lesion; one of them is enough.
    lost = (before >= kept_from[:, None, None]) & ~_near(sources, before)

    def with_lost() -> tf.Tensor:
        column, row = _destinations(shape, transform, displacement)
        restored = _scattered(before, column, row, lost)
        return tf.where(restored > 0, tf.cast(restored, labels.dtype), moved)

    return tf.cond(tf.reduce_any(lost), with_lost, lambda: moved)


def _scattered(values: tf.Tensor, column: tf.Tensor, row: tf.Tensor, some: tf.Tensor) -> tf.Tensor:
    """The greatest of ``some`` values scattered to each pixel; 0 or less if there is none."""
    shape = tf.shape(values)
    pixels = shape[1] * shape[2]
    inside = some & (column >= 0) & (column < shape[2]) & (row >= 0) & (row < shape[1])
    # One extra pixel collects the values outside the frame.
    place = tf.where(inside, row * shape[2] + column, pixels)
    place += tf.range(shape[0])[:, None, None] * (pixels + 1)
    found = tf.math.unsorted_segment_max(
        tf.reshape(values, [-1]), tf.reshape(place, [-1]), shape[0] * (pixels + 1)
    )
    return tf.reshape(tf.reshape(found, [shape[0], pixels + 1])[:, :-1], shape)


def _near(sources: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Whether a pixel, or one of its eight neighbours with the same label, is a source pixel."""
    rows, columns = tf.shape(labels)[1], tf.shape(labels)[2]
    border = [[0, 0], [1, 1], [1, 1]]
    of_sources = tf.pad(tf.where(sources, labels, -1), border, constant_values=-1)
    found = tf.zeros_like(sources)
    for row in range(3):
        for column in range(3):
            found |= of_sources[:, row : row + rows, column : column + columns] == labels
    return found


def _destinations(
    shape: tf.Tensor,
    transform: tf.Tensor,
    displacement: tuple[tf.Tensor, tf.Tensor] | None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Column and row of the output pixel nearest to each pixel's destination.

    Two int32 [batch, rows, columns], inside the frame.
    """
    rows, columns = shape[1], shape[2]
    height, width = tf.cast(rows, tf.float64), tf.cast(columns, tf.float64)
    terms = tf.unstack(tf.cast(transform, tf.float64), axis=1)
    a, b, c, d, e, f = (term[:, None, None] for term in terms)
    middle_x, middle_y = (width - 1.0) / 2.0, (height - 1.0) / 2.0
    x = tf.range(width, dtype=tf.float64)[None, None, :] - middle_x - c * width
    y = tf.range(height, dtype=tf.float64)[None, :, None] - middle_y - f * height
    area = a * e - b * d
    x, y = (e * x - b * y) / area + middle_x, (a * y - d * x) / area + middle_y

    def pixel(x: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return (
            tf.cast(tf.clip_by_value(tf.round(x), 0.0, width - 1.0), tf.int32),
            tf.cast(tf.clip_by_value(tf.round(y), 0.0, height - 1.0), tf.int32),
        )

    if displacement is None:
        return pixel(x, y)
    across, along = (tf.reshape(field, [shape[0], -1]) for field in displacement)

    def closer(found_x: tf.Tensor, found_y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        column, row = pixel(found_x, found_y)
        place = tf.reshape(row * columns + column, [shape[0], -1])
        move_x = tf.reshape(tf.gather(across, place, batch_dims=1), shape)
        move_y = tf.reshape(tf.gather(along, place, batch_dims=1), shape)
        # Half a step: full steps may oscillate where the field is steep.
        return (found_x + x - move_x) / 2.0, (found_y + y - move_y) / 2.0

    found = x, y
    for _ in range(_STEPS):
        found = closer(*found)
    return pixel(*found)

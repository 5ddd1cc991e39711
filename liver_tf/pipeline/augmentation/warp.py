"""Geometry: one affine map, with or without displacements, and one interpolation.

Source coordinates are fixed-point numbers (16.16 bits). Integer sums are the same on every device
and in every order, so labels do not depend on the device. Rounding moves a pixel by less than
1/32,000 of its size.
"""

import tensorflow as tf

_BITS = 16
_ONE = 1 << _BITS


#: Contributions of output columns and rows to the source column, then to the source row: int32
#: [batch, columns], [batch, rows], [batch, columns], [batch, rows], in 1/65536 pixels.
Lines = tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]


def source_lines(transform: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> Lines:
    """An affine map as separate contributions of the output's columns and rows.

    Args:
      transform: float32 [batch, 6], (a, b, c, d, e, f): the source of an output point (x, y),
        relative to the centre, is (a x + b y + c columns, d x + e y + f rows).
    """
    # In double precision, so that rounding to fixed point is the same on every device.
    a, b, c, d, e, f = (
        term[:, None] for term in tf.unstack(tf.cast(transform, tf.float64), axis=1)
    )
    x, middle_x = _centred(columns)
    y, middle_y = _centred(rows)
    width, height = tf.cast(columns, tf.float64), tf.cast(rows, tf.float64)
    return (
        *(_fixed(a * x), _fixed(b * y + (c * width + middle_x))),
        *(_fixed(d * x), _fixed(e * y + (f * height + middle_y))),
    )


def source_points(lines: Lines) -> tuple[tf.Tensor, tf.Tensor]:
    """Source column and row of each output pixel, relative to the centre of the first pixel.

    Returns:
      Two int32 [batch, rows, columns], in 1/65536 pixels.
    """
    column_of_columns, column_of_rows, row_of_columns, row_of_rows = lines
    return (
        column_of_columns[:, None, :] + column_of_rows[:, :, None],
        row_of_columns[:, None, :] + row_of_rows[:, :, None],
    )


def displaced(
    points: tuple[tf.Tensor, tf.Tensor],
    transform: tf.Tensor,
    displacement: tuple[tf.Tensor, tf.Tensor],
) -> tuple[tf.Tensor, tf.Tensor]:
    """``source_points`` of output points that are displaced before ``transform``.

    Args:
      displacement: Along columns and along rows, two float64 [batch, rows, columns], in pixels.
    """
    across, along = displacement
    terms = tf.unstack(tf.cast(transform, tf.float64), axis=1)
    a, b, _, d, e, _ = (term[:, None, None] for term in terms)
    return (
        points[0] + _fixed(a * across + b * along),
        points[1] + _fixed(d * across + e * along),
    )


def bilinear(images: tf.Tensor, column: tf.Tensor, row: tf.Tensor, outside: float) -> tf.Tensor:
    """Bilinear interpolation at ``source_points``; pixels outside the image are ``outside``.

    Args:
      images: float32 [batch, rows, columns].

    Returns:
      float32, the shape of ``column``; at a pixel's centre that pixel, bit for bit.
    """
    across, along = _fraction(column), _fraction(row)
    column, row = _whole(column), _whole(row)
    above = _between(
        _pixels(images, column, row, outside), _pixels(images, column + 1, row, outside), across
    )
    below = _between(
        _pixels(images, column, row + 1, outside),
        _pixels(images, column + 1, row + 1, outside),
        across,
    )
    return _between(above, below, along)


def nearest(labels: tf.Tensor, column: tf.Tensor, row: tf.Tensor) -> tf.Tensor:
    """Labels of the pixels nearest to ``source_points``; 0 outside. Halves round right and down."""
    return _pixels(labels, *nearest_pixels(column, row), 0)


def nearest_pixels(column: tf.Tensor, row: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Column and row of the pixels nearest to ``source_points``, int32; may lie outside."""
    return _whole(column + _ONE // 2), _whole(row + _ONE // 2)


def _centred(count: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Positions relative to the middle, float64 [1, count], and the middle."""
    middle = (tf.cast(count, tf.float64) - 1.0) / 2.0
    return (tf.range(tf.cast(count, tf.float64), dtype=tf.float64) - middle)[None], middle


def _fixed(place: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.round(place * _ONE), tf.int32)


def _whole(place: tf.Tensor) -> tf.Tensor:
    return tf.bitwise.right_shift(place, _BITS)


def _fraction(place: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.bitwise.bitwise_and(place, _ONE - 1), tf.float32) / _ONE


def _between(low: tf.Tensor, high: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    return low + share * (high - low)


def _pixels(pixels: tf.Tensor, column: tf.Tensor, row: tf.Tensor, outside: float) -> tf.Tensor:
    shape = tf.shape(pixels)
    batch, rows, columns = shape[0], shape[1], shape[2]
    # Masks instead of padding: XLA pads pixel by pixel.
    there = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
    place = tf.clip_by_value(row * columns + column, 0, rows * columns - 1)
    flat = tf.reshape(pixels, [batch, rows * columns])
    taken = tf.gather(flat, tf.reshape(place, [batch, -1]), batch_dims=1)
    return tf.where(there, tf.reshape(taken, tf.shape(place)), tf.cast(outside, pixels.dtype))

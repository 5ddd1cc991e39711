"""Smooth displacements: cubic B-splines over a coarse grid of control points.

Rueckert et al. 1999, "Nonrigid registration using free-form deformations". A map does not fold if
its control points move by less than 0.48 of their spacing (Choi and Lee 2000, "Injectivity
conditions of 2D and 3D uniform cubic B-spline functions"); ``ranges.Ranges`` checks this.
"""

import tensorflow as tf

#: Control points in addition to the intervals along a side: a cubic spline extends beyond its ends.
_BEYOND = 3


def control_shape(intervals: int) -> tuple[int, int, int]:
    """Shape of the control points for this number of intervals along each side of the image."""
    return intervals + _BEYOND, intervals + _BEYOND, 2


def draw_control(seed: tf.Tensor, shape: tuple[int, int, int]) -> tf.Tensor:
    """Draw movements of the control points along columns and rows, float32 in -1 to 1.

    Args:
      seed: int32 [2].
      shape: From ``control_shape``.
    """
    return tf.random.stateless_uniform(shape, seed, -1.0, 1.0, alg="philox")


def displacement(
    control: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Displacement fields of control points, along columns and along rows, in pixels.

    Computed in double precision, like ``warp.source_lines``: accelerators round the factors of
    float32 matrix products to 10 bits (TF32) and sum in different orders. Float64 sums then differ
    by 1e-13 pixels, so coordinates rounded to 1/65536 pixels are the same on every device.

    Args:
      control: float32 [batch, points, points, 2], shares of the image's side.

    Returns:
      Two float64 [batch, rows, columns]; at most the movement of the control points.
    """
    points = tf.shape(control)[1]
    of_rows, of_columns = _splines(rows, points), _splines(columns, points)

    def field(movement: tf.Tensor, side: tf.Tensor) -> tf.Tensor:
        movement = tf.cast(movement, tf.float64) * tf.cast(side, tf.float64)
        return tf.einsum("rp,bpq,cq->brc", of_rows, movement, of_columns)

    return field(control[..., 0], columns), field(control[..., 1], rows)


def largest(control: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Largest possible displacement in pixels, along columns and along rows: float32 [batch]."""
    furthest = tf.reduce_max(tf.abs(control), axis=[1, 2])
    return (
        furthest[:, 0] * tf.cast(columns, tf.float32),
        furthest[:, 1] * tf.cast(rows, tf.float32),
    )


def _splines(side: tf.Tensor, points: tf.Tensor) -> tf.Tensor:
    """float64 [side, points]: weight of each control point at each pixel; rows sum to one."""
    intervals = tf.cast(points - _BEYOND, tf.float64)
    last = tf.maximum(tf.cast(side - 1, tf.float64), 1.0)
    place = tf.range(tf.cast(side, tf.float64), dtype=tf.float64) * (intervals / last)
    point = tf.range(tf.cast(points, tf.float64), dtype=tf.float64) - 1.0
    distance = tf.abs(place[:, None] - point[None, :])
    return (tf.nn.relu(2.0 - distance) ** 3 - 4.0 * tf.nn.relu(1.0 - distance) ** 3) / 6.0

"""Gaussian noise: counter-based random bits, transformed to normal numbers pixel by pixel.

``tf.random.stateless_normal`` takes one seed per call, so a batch needs a loop, and XLA compiles
its random bits to slow code on a CPU. Here every operation is elementwise on the whole batch, which
XLA turns into a single vectorised loop. The bits are those of Threefry-2x32 with 20 rounds (Salmon
et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): integer arithmetic, the same on every
device.
"""

import math

import tensorflow as tf

_ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)
_PARITY = 0x1BD11BDA
_ROUNDS = 20

#: Coefficients of Giles 2010, "Approximating the erfinv function", highest power first, for the
#: middle of the distribution and for its tails.
_MIDDLE = (
    *(2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087),
    *(-0.00125372503, -0.00417768164, 0.246640727, 1.50140941),
)
_TAILS = (
    *(-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773),
    *(-0.0076224613, 0.00943887047, 1.00167406, 2.83297682),
)


def threefry(
    key: tuple[tf.Tensor, tf.Tensor], counter: tuple[tf.Tensor, tf.Tensor]
) -> tuple[tf.Tensor, tf.Tensor]:
    """Threefry-2x32-20: two uint32 of random bits for two uint32 of counter; shapes broadcast."""
    keys = (*key, tf.bitwise.bitwise_xor(tf.bitwise.bitwise_xor(*key), _word(_PARITY)))
    first, second = counter[0] + keys[0], counter[1] + keys[1]
    for number in range(_ROUNDS):
        first = first + second
        second = _rotated(second, _ROTATIONS[number % len(_ROTATIONS)])
        second = tf.bitwise.bitwise_xor(second, first)
        if number % 4 == 3:
            injection = number // 4 + 1
            first = first + keys[injection % 3]
            second = second + keys[(injection + 1) % 3] + _word(injection)
    return first, second


def normal_fields(seeds: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """A field of independent standard normal numbers for each seed.

    Args:
      seeds: int32 [batch, 2].
      rows, columns: Integer scalars.

    Returns:
      float32 [batch, rows, columns]; from 24 random bits each, so never beyond 5.5.
    """
    pixels = rows * columns
    half = (pixels + 1) // 2
    key = tf.bitcast(seeds, tf.uint32)
    counter = tf.bitcast(tf.range(half), tf.uint32)[None]
    both = threefry((key[:, :1], key[:, 1:]), (counter, tf.zeros_like(counter)))
    bits = tf.concat(both, axis=1)[:, :pixels]
    uniform = symmetric_uniform(tf.bitcast(bits, tf.int32))
    return tf.reshape(_quantile(uniform), [-1, rows, columns])


def symmetric_uniform(bits: tf.Tensor) -> tf.Tensor:
    """Random int32 to float32 strictly between -1 and 1, symmetric about 0."""
    return (tf.cast(tf.bitwise.right_shift(bits, 8), tf.float32) + 0.5) * 2.0**-23


def _quantile(uniform: tf.Tensor) -> tf.Tensor:
    """Uniform in -1 to 1 to standard normal; 1.5 times as fast under XLA as ``tf.math.erfinv``."""
    depth = -tf.math.log((1.0 - uniform) * (1.0 + uniform))
    middle = _polynomial(_MIDDLE, depth - 2.5)
    tails = _polynomial(_TAILS, tf.sqrt(depth) - 3.0)
    return tf.where(depth < 5.0, middle, tails) * uniform * math.sqrt(2.0)


def _polynomial(coefficients: tuple[float, ...], x: tf.Tensor) -> tf.Tensor:
    value = coefficients[0]
    for coefficient in coefficients[1:]:
        value = value * x + coefficient
    return value


def _rotated(word: tf.Tensor, by: int) -> tf.Tensor:
    return tf.bitwise.bitwise_or(
        tf.bitwise.left_shift(word, _word(by)), tf.bitwise.right_shift(word, _word(32 - by))
    )


def _word(value: int) -> tf.Tensor:
    return tf.constant(value, tf.uint32)

"""Augmentation of grey levels: contrast, brightness, gamma, curves, blur, noise.

Neutral parameters leave every bit unchanged; operations without a parameter are not in the graph.
"""

import math

import tensorflow as tf

from liver_tf.pipeline.augmentation.noise import normal_fields

#: Straight segments of a curve, equally wide.
SEGMENTS = 8
#: Before scaling, the slopes of a curve are between 1 / this and this.
_STEEPEST = 3.0


def level(
    images: tf.Tensor, parameters: dict[str, tf.Tensor], window: tuple[float, float]
) -> tf.Tensor:
    """Apply contrast and brightness, then gamma and a curve if they were drawn.

    Values may leave the window.

    Args:
      images: float32 [batch, rows, columns], HU.
      parameters: From ``augment.draw``, batched.
    """
    low, high = window
    gain, offset = _of_images(parameters["gain"]), _of_images(parameters["offset_hu"])
    images = images + (gain - 1.0) * (images - (low + high) / 2.0) + offset
    if "gamma" in parameters:
        images = _gamma(images, _of_images(parameters["gamma"]), low, high)
    if "curve" in parameters:
        images = _curved(images, parameters["curve"], low, high)
    return images


def blur(images: tf.Tensor, parameters: dict[str, tf.Tensor]) -> tf.Tensor:
    """Apply a Gaussian blur, mirroring the border, because tissue continues beyond an ROI."""
    return _blur(_blur(images, parameters["blur"], axis=1), parameters["blur"], axis=2)


def finish(
    images: tf.Tensor, parameters: dict[str, tf.Tensor], window: tuple[float, float]
) -> tf.Tensor:
    """Add noise if it was drawn, and clip to the window."""
    if "noise_hu" in parameters:
        shape = tf.shape(images)
        field = normal_fields(parameters["noise_seed"], shape[1], shape[2])
        images = images + _of_images(parameters["noise_hu"]) * field
    return tf.clip_by_value(images, *window)


def taps(sd: tf.Tensor, greatest_sd: float) -> tf.Tensor:
    """Half a Gaussian kernel, from its centre to three times the greatest standard deviation.

    Args:
      sd: float32 [...], pixels; 0 gives (1, 0, ..., 0).

    Returns:
      float32 [..., reach + 1]; the whole kernel sums to one.
    """
    reach = tf.range(float(reach_of(greatest_sd) + 1))
    half = tf.exp(-0.5 * (reach / tf.maximum(sd, 1e-3)[..., None]) ** 2)
    return half / (2.0 * tf.reduce_sum(half, axis=-1, keepdims=True) - half[..., :1])


def reach_of(greatest_sd: float) -> int:
    """Pixels on each side in the kernel of this standard deviation."""
    return max(1, int(-(-3.0 * greatest_sd // 1)))


def steepness(uniform: tf.Tensor, curved: tf.Tensor) -> tf.Tensor:
    """A random increasing curve over the window, as the slope of each segment minus 1.

    The curve begins and ends at the bounds of the window.

    Args:
      uniform: float32 [..., segments], -1 to 1.
      curved: bool [...]; the identity (all zeros) where it is false.
    """
    slopes = tf.exp(uniform * math.log(_STEEPEST))
    slopes /= tf.reduce_mean(slopes, axis=-1, keepdims=True)
    return tf.where(curved[..., None], slopes - 1.0, 0.0)


def _of_images(values: tf.Tensor) -> tf.Tensor:
    return values[:, None, None]


def _gamma(images: tf.Tensor, gamma: tf.Tensor, low: float, high: float) -> tf.Tensor:
    share = (tf.clip_by_value(images, low, high) - low) / (high - low)
    # XLA's power is many times slower than its logarithm and exponential.
    raised = tf.exp(gamma * tf.math.log(share))
    return tf.where(gamma == 1.0, images, low + (high - low) * raised)


def _curved(images: tf.Tensor, steeper: tf.Tensor, low: float, high: float) -> tf.Tensor:
    width = (high - low) / SEGMENTS
    moved = images
    for number in range(SEGMENTS):
        covered = tf.clip_by_value(images - (low + number * width), 0.0, width)
        moved += _of_images(steeper[:, number]) * covered
    return moved


def _blur(images: tf.Tensor, half: tf.Tensor, axis: int) -> tf.Tensor:
    reach = half.shape[1] - 1
    side = tf.shape(images)[axis]
    paddings = [[0, 0], [0, 0], [0, 0]]
    paddings[axis] = [reach, reach]
    padded = tf.pad(images, paddings, "SYMMETRIC")

    def moved(by: int) -> tf.Tensor:
        start = reach + by
        if axis == 1:
            return padded[:, start : start + side]
        return padded[:, :, start : start + side]

    blurred = _of_images(half[:, 0]) * images
    for number in range(1, reach + 1):
        blurred += _of_images(half[:, number]) * (moved(-number) + moved(number))
    return blurred

"""Augmentation after the paper: rotation, zoom, flip, shift, noise, grey-level changes.

Plain TensorFlow and nothing of the project, so that the same file runs on an accelerator, in
``tf.data``, and in the environment of the parity test.

Two steps. ``draw`` makes the parameters of one example: a pure function of (seed, epoch, example
number), whatever thread calls it. ``apply`` uses them on a batch of images and label maps: one
affine transform each, bilinear for the image and nearest for the labels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class Ranges:
    """How far augmentation goes; the paper gives no numbers, these are ours.

    Attributes:
      rotation_degrees: uniform in +- this. zoom: uniform in 1 +- this.
      shift: uniform in +- this share of the image's side, rows and columns apart.
      flip: chance of a horizontal flip (left and right exchanged).
      noise_hu: the SD of Gaussian noise is uniform in 0 to this.
      gain: contrast about the window's centre, uniform in 1 +- this.
      offset_hu: brightness, uniform in +- this.
    """

    rotation_degrees: float = 15.0
    zoom: float = 0.15
    shift: float = 0.08
    flip: float = 0.5
    noise_hu: float = 12.0
    gain: float = 0.1
    offset_hu: float = 12.0


NO_AUGMENTATION = Ranges(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def draw(seed: int, epoch: tf.Tensor, example: tf.Tensor, ranges: Ranges) -> dict[str, tf.Tensor]:
    """Parameters of one example in one epoch.

    Args:
      seed: the run's seed. epoch: int scalar. example: int64 scalar that names the slice.

    Returns:
      ``transform`` float32 [6]: the affine map of ``apply`` in units of the image's side;
      ``noise_seed`` int32 [2]; ``noise_hu``, ``gain``, ``offset_hu`` float32 scalars.
    """
    key = tf.stack([tf.cast(seed, tf.int64) * 1_000_003 + tf.cast(epoch, tf.int64), example])
    uniform = tf.random.stateless_uniform([8], key, -1.0, 1.0, alg="philox")
    angle = uniform[0] * (ranges.rotation_degrees * math.pi / 180.0)
    zoom = 1.0 + uniform[1] * ranges.zoom
    mirrored = (uniform[4] + 1.0) / 2.0 < ranges.flip
    mirror = tf.where(mirrored, -1.0, 1.0)
    cosine, sine = tf.cos(angle) / zoom, tf.sin(angle) / zoom
    # Where an output point, seen from the centre, comes from: rotate, zoom, mirror, shift.
    transform = tf.stack(
        [
            mirror * cosine,
            -mirror * sine,
            uniform[3] * ranges.shift,
            sine,
            cosine,
            uniform[2] * ranges.shift,
        ]
    )
    return {
        "transform": transform,
        "noise_seed": tf.random.stateless_uniform(
            [2], key + 1, minval=None, maxval=None, dtype=tf.int32, alg="philox"
        ),
        "noise_hu": (uniform[5] + 1.0) / 2.0 * ranges.noise_hu,
        "gain": 1.0 + uniform[6] * ranges.gain,
        "offset_hu": uniform[7] * ranges.offset_hu,
    }


def apply(
    images: tf.Tensor,
    labels: tf.Tensor,
    parameters: dict[str, tf.Tensor],
    window: tuple[float, float],
) -> tuple[tf.Tensor, tf.Tensor]:
    """Transform a batch; images stay inside the window, labels inside the label set.

    Args:
      images: float32 [batch, rows, columns], HU. labels: uint8 [batch, rows, columns].
      parameters: of ``draw``, batched.
      window: (low, high) HU; low is what comes from outside the image.

    Returns:
      Images and labels of the same shapes and dtypes. With identity parameters, bit for bit.
    """
    shape = tf.shape(images)
    flat = _pixel_transform(parameters["transform"], shape[1], shape[2])
    images = _project(images, flat, shape, "BILINEAR", float(window[0]))
    labels = tf.cast(_project(tf.cast(labels, tf.float32), flat, shape, "NEAREST", 0.0), tf.uint8)
    images = _grey_levels(images, parameters, window)
    return images, labels


def _pixel_transform(transform: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """[batch, 6] about the centre, shifts as shares, to [batch, 8] about pixel (0, 0)."""
    height, width = tf.cast(rows - 1, tf.float32), tf.cast(columns - 1, tf.float32)
    a, b, c, d, e, f = tf.unstack(transform, axis=1)
    x, y = width / 2.0, height / 2.0
    first = c * tf.cast(columns, tf.float32) + x - a * x - b * y
    second = f * tf.cast(rows, tf.float32) + y - d * x - e * y
    zero = tf.zeros_like(a)
    return tf.stack([a, b, first, d, e, second, zero, zero], axis=1)


def _project(
    pixels: tf.Tensor, flat: tf.Tensor, shape: tf.Tensor, interpolation: str, fill: float
) -> tf.Tensor:
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=pixels[..., None],
        transforms=flat,
        output_shape=shape[1:3],
        interpolation=interpolation,
        fill_mode="CONSTANT",
        fill_value=fill,
    )[..., 0]


def _grey_levels(
    images: tf.Tensor, parameters: dict[str, tf.Tensor], window: tuple[float, float]
) -> tf.Tensor:
    low, high = float(window[0]), float(window[1])
    centre = (low + high) / 2.0
    gain = parameters["gain"][:, None, None]
    # In this form a gain of 1 and an offset of 0 leave every bit as it is.
    images = images + (gain - 1.0) * (images - centre) + parameters["offset_hu"][:, None, None]
    field = tf.map_fn(
        lambda seed: tf.random.stateless_normal(tf.shape(images)[1:], seed, alg="philox"),
        parameters["noise_seed"],
        fn_output_signature=tf.float32,
    )
    images = images + parameters["noise_hu"][:, None, None] * field
    return tf.clip_by_value(images, low, high)

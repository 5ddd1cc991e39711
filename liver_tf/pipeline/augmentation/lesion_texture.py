"""Lesions that are not uniform: dead or enhanced cores, rims, mosaics, specks, soft edges.

Tumours of patients are seldom of one grey value. LI-RADS v2018 (American College of Radiology)
describes rim enhancement, mosaic architecture, nodules in nodules, necrosis and a changed perfusion
of the liver around. Each is added to some of the drawn images, to all lesions of an image alike.
"""

import tensorflow as tf

from liver_tf.pipeline.augmentation.noise import symmetric_uniform, threefry

_NUMBERS = 13
#: Sides in pixels of the means that tell how deep in a lesion a pixel lies, and that soften edges.
_DEPTH_PIXELS, _EDGE_PIXELS = 7, 5


def within_lesions(
    cover: tf.Tensor, contrast_hu: tf.Tensor, texture: tf.Tensor, seeds: tf.Tensor
) -> tf.Tensor:
    """Change of attenuation in and around lesions that were painted uniformly.

    Args:
      cover: float32 [batch, rows, columns], share of each pixel that is lesion.
      contrast_hu: float32 [batch], attenuation of the lesions above that of the liver.
      texture: float32, shape of ``cover``: a smooth random field of SD about 1.
      seeds: int32 [batch, 2].

    Returns:
      float32 [batch, rows, columns] in HU.
    """
    number = tf.unstack(_uniform(seeds)[:, :, None, None], axis=1)
    # About one half at the edge of a lesion, 1 where it is some 7 pixels deep.
    depth = _mean(_mean(cover, _DEPTH_PIXELS), _DEPTH_PIXELS)
    core = tf.sigmoid((depth - (0.55 + 0.4 * number[1])) / 0.05)
    core *= tf.where(number[2] < 0.75, -1.0, 0.6) * (10.0 + 50.0 * number[3])
    rim = tf.exp(-(((depth - 0.5) / 0.15) ** 2)) * (10.0 + 60.0 * number[5])
    mosaic = tf.tanh(2.0 * texture) * (8.0 + 40.0 * number[7])
    specks = tf.nn.relu(texture - 1.2) * (100.0 + 400.0 * number[9])
    around = (1.0 - cover) * 4.0 * depth * (1.0 - depth) * 50.0 * (number[11] - 0.5)
    softer = (_mean(cover, _EDGE_PIXELS) - cover) * contrast_hu[:, None, None]
    inside = (
        tf.where(number[0] < 0.35, core, 0.0)
        + tf.where(number[4] < 0.25, rim, 0.0)
        + tf.where(number[6] < 0.35, mosaic, 0.0)
        + tf.where(number[8] < 0.08, specks, 0.0)
    )
    outside = tf.where(number[10] < 0.2, around, 0.0) + tf.where(number[12] < 0.5, softer, 0.0)
    return cover * inside + outside


def _mean(values: tf.Tensor, side: int) -> tf.Tensor:
    """Mean over a square, as two matrix products: pooling is slow where XLA compiles for a CPU."""
    down, across = (_box(tf.shape(values)[axis], side) for axis in (1, 2))
    return tf.einsum("rp,bpq,cq->brc", down, values, across)


def _box(pixels: tf.Tensor, side: int) -> tf.Tensor:
    """float32 [pixels, pixels]: each row averages over the nearest ``side`` pixels."""
    place = tf.range(pixels)
    near = tf.cast(tf.abs(place[:, None] - place[None]) <= side // 2, tf.float32)
    return near / tf.reduce_sum(near, axis=1, keepdims=True)


def _uniform(seeds: tf.Tensor) -> tf.Tensor:
    """float32 [batch, _NUMBERS], random in 0 to 1."""
    key = tf.bitcast(seeds, tf.uint32)
    counter = tf.bitcast(tf.range(_NUMBERS), tf.uint32)[None]
    # Another second counter than those of ``drawing`` and ``noise``, which use the same seed.
    first, _ = threefry((key[:, :1], key[:, 1:]), (counter, 2 * tf.ones_like(counter)))
    return (symmetric_uniform(tf.bitcast(first, tf.int32)) + 1.0) / 2.0

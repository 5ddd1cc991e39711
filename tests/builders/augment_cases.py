"""Slices and parameters shared by the augmentation tests."""

import numpy as np
import tensorflow as tf

from liver_tf.pipeline.augmentation import augment
from liver_tf.pipeline.augmentation.ranges import Ranges

WINDOW = (-160.0, 240.0)
IDENTITY = [1, 0, 0, 0, 1, 0]

#: All kinds of augmentation switched on.
EVERYTHING = Ranges(elastic=0.03, gamma=0.3, blur_pixels=1.2, curve=0.7, kept_from=2)


def make_slices(count=6, rows=24, columns=32):
    generator = np.random.default_rng(0)
    images = generator.uniform(*WINDOW, (count, rows, columns)).astype(np.float32)
    labels = generator.choice([0, 1, 4], (count, rows, columns)).astype(np.uint8)
    return images, labels


def draw_batch(ranges, examples, seed=3, epoch=0):
    dataset = tf.data.Dataset.from_tensor_slices(tf.constant(list(examples), tf.int64))
    drawn = dataset.map(lambda example: augment.draw(seed, tf.constant(epoch), example, ranges))
    return drawn.batch(len(dataset)).get_single_element()


def parameters(transform, *, noise_hu=0.0, gain=1.0, offset_hu=0.0, **more):
    """Explicit parameters of one slice."""
    return {
        "transform": tf.constant([transform], tf.float32),
        "noise_seed": tf.constant([[1, 2]]),
        "noise_hu": tf.constant([noise_hu]),
        "gain": tf.constant([gain]),
        "offset_hu": tf.constant([offset_hu]),
        **more,
    }


def apply(images, labels, drawn):
    moved = augment.apply(tf.constant(images), tf.constant(labels), drawn, WINDOW)
    return moved[0].numpy(), moved[1].numpy()

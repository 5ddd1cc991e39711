"""A network of 16 x 16 pixels with three classes, and random batches for it."""

import numpy as np
import tensorflow as tf

from liver_tf.model import unet
from liver_tf.model.architecture import Architecture
from liver_tf.model.freezing import freeze
from liver_tf.training.task import Task

TASK = Task(100.0, 30.0, (0.5, 1.0, 4.0), (-160, 240))


def make_batch(count, seed=0):
    generator = np.random.default_rng(seed)
    images = generator.uniform(-160, 240, (count, 16, 16)).astype(np.float32)
    return tf.constant(images), tf.constant(generator.integers(0, 3, (count, 16, 16)), tf.uint8)


def build(seed=3, fixed=()):
    model = unet.build(Architecture(16, 1, 3), seed)
    freeze(model, fixed)
    return model

"""Same arguments, same weights."""

from __future__ import annotations

import keras
import tensorflow as tf


def set_up(deterministic: bool) -> None:
    """Ask TensorFlow for operations whose result does not hang on the timing of threads.

    All random numbers of the program are functions of the seed; the global generators are seeded
    too, so that an operation that should come to use one cannot go astray unseen.
    """
    keras.utils.set_random_seed(0)
    if deterministic:
        tf.config.experimental.enable_op_determinism()

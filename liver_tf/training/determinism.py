"""Reproducible weights: the same arguments give the same bits."""

from __future__ import annotations

import keras
import tensorflow as tf


def set_up(deterministic: bool) -> None:
    """Make TensorFlow use operations whose results do not depend on thread timing.

    All random numbers of the program are functions of the run's seed. The global generators are
    seeded as well, in case an operation uses one of them.
    """
    keras.utils.set_random_seed(0)
    if deterministic:
        tf.config.experimental.enable_op_determinism()

"""Functions that XLA compiles where it can, and that run as plain TensorFlow where it cannot."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable

import tensorflow as tf


def compiled(function: Callable) -> Callable:
    """The function compiled by XLA, once for every shape of its arguments.

    On a machine whose TensorFlow has no XLA for its devices, the function as it is: the same
    numbers but for rounding, only slower.
    """
    fast = tf.function(function, jit_compile=True, autograph=False)

    @functools.wraps(function)
    def call(*arguments):
        return (fast if available() else function)(*arguments)

    return call


@functools.cache
def available() -> bool:
    """Whether XLA compiles for the devices of this machine; tried once, on an addition."""
    tried = tf.function(lambda number: number + 1, jit_compile=True)
    # Out of whatever graph is being traced.
    with tf.init_scope():
        kinds = ["CPU"] + (["GPU"] if tf.config.list_logical_devices("GPU") else [])
        try:
            for kind in kinds:
                with tf.device(f"{kind}:0"):
                    tried(tf.constant(1))
        # Which of them comes depends on what is missing: the compiler, a library of the GPU's ...
        except (tf.errors.OpError, RuntimeError, ValueError) as error:
            warnings.warn(
                f"XLA does not compile here ({type(error).__name__}): augmentation takes several "
                "times as long",
                stacklevel=2,
            )
            return False
    return True

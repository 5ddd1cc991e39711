"""Functions compiled by XLA if it is available, otherwise run as plain TensorFlow."""

import functools
import warnings
from collections.abc import Callable

import tensorflow as tf


def compiled(function: Callable) -> Callable:
    """The function compiled by XLA, once for every shape of its arguments.

    Without XLA for the devices of this machine it runs uncompiled: slower, and the same results
    except for rounding.
    """
    fast = tf.function(function, jit_compile=True, autograph=False)

    @functools.wraps(function)
    def call(*arguments):
        return (fast if available() else function)(*arguments)

    return call


@functools.cache
def available() -> bool:
    """Whether XLA compiles for the devices of this machine; tested once, with an addition."""
    tried = tf.function(lambda number: number + 1, jit_compile=True)
    # Outside of the graph that is being traced.
    with tf.init_scope():
        kinds = ["CPU"] + (["GPU"] if tf.config.list_logical_devices("GPU") else [])
        try:
            for kind in kinds:
                with tf.device(f"{kind}:0"):
                    tried(tf.constant(1))
        # The error type depends on what is missing: the compiler, a GPU library ...
        except (tf.errors.OpError, RuntimeError, ValueError) as error:
            warnings.warn(
                f"XLA is not available ({type(error).__name__}): augmentation takes several times "
                "as long",
                stacklevel=2,
            )
            return False
    return True

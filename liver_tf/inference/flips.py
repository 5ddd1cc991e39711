"""Test-time flips (``--flips``): average the predictions for an image and its mirror image."""

from collections.abc import Callable

import tensorflow as tf


def average_over_flips(
    softmax: Callable[[tf.Tensor], tf.Tensor], standardised: tf.Tensor
) -> tf.Tensor:
    """Mean class probabilities of images, [batch, s, s, 1], and their left-right mirror images."""
    mirrored = softmax(tf.reverse(standardised, axis=[2]))
    return (softmax(standardised) + tf.reverse(mirrored, axis=[2])) / 2.0

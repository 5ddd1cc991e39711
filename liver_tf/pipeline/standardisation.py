"""Standardisation of the network's input, the same in training, prediction and export."""

import tensorflow as tf


def standardise(hu: tf.Tensor, mean_hu: float, sd_hu: float) -> tf.Tensor:
    """HU [batch, s, s] to the network's input [batch, s, s, 1].

    Mean and standard deviation of liver HU over the training data come from
    ``records.case_statistics.liver_mean_sd``.
    """
    return ((hu - mean_hu) / sd_hu)[..., None]

"""Batch normalisation with a fused kernel, and its policies.

Keras computes the moments in separate operations; TensorFlow has one fused kernel for the forward
pass and one for the backward pass. Mathematics, weights and names are those of
``keras.layers.BatchNormalization``, so weights load both ways.
"""

import keras
import tensorflow as tf


class FusedBatchNormalization(keras.layers.BatchNormalization):
    """``keras.layers.BatchNormalization`` over the last axis of [batch, rows, columns, channels].

    A frozen layer (``trainable = False``) runs in inference mode and keeps its statistics. With
    ``learn_statistics = False`` it does the same, but its scale and offset are trained. Both only
    affect steps traced afterwards.

    Each replica normalises by its local slices; the moving statistics are updated with the mean
    over the replicas and stay identical on all of them. In half precision, only inputs and outputs
    are half precision; everything else is float32.
    """

    learn_statistics = True

    def __init__(self, **options) -> None:
        # Keras would round scale and offset to half precision before the kernel reads them.
        super().__init__(autocast=False, **options)

    def apply_policy(self, policy: str) -> None:
        """Apply one of ``blocks.NORM_POLICIES``, after ``trainable`` was set for the block."""
        self.learn_statistics = policy == "update"
        self.trainable = self.trainable and policy != "inference"  # type: ignore[has-type]

    def call(self, inputs, training=None, mask=None):
        learn = bool(training) and self.trainable and self.learn_statistics
        inputs = tf.cast(inputs, self.compute_dtype)
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=tf.cast(self.gamma, tf.float32),
            offset=tf.cast(self.beta, tf.float32),
            mean=[] if learn else tf.cast(self.moving_mean, tf.float32),
            variance=[] if learn else tf.cast(self.moving_variance, tf.float32),
            epsilon=self.epsilon,
            is_training=learn,
        )
        if learn:
            count = tf.cast(tf.size(inputs) // inputs.shape[-1], tf.float32)
            # The kernel returns the unbiased variance; Keras keeps the biased one.
            biased = variance * (count - 1.0) / count
            context = tf.distribute.get_replica_context()
            if context is not None and context.num_replicas_in_sync > 1:
                mean, biased = context.all_reduce(tf.distribute.ReduceOp.MEAN, [mean, biased])
            self._move(self.moving_mean, mean)
            self._move(self.moving_variance, biased)
        return outputs

    def _move(self, statistic, batch_value):
        kept = tf.convert_to_tensor(statistic) * self.momentum
        statistic.assign(kept + batch_value * (1.0 - self.momentum))

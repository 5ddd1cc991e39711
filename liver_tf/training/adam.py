"""Adam by one kernel for each weight.

Keras updates a weight by a dozen operations, each through memory: at a batch of one slice that
took a fifth of a step. TensorFlow's kernel does the same arithmetic in one pass. The mathematics,
the variables and their names are those of ``keras.optimizers.Adam``, so that a run's state loads
both ways.
"""

from __future__ import annotations

import keras
import tensorflow as tf


class FusedAdam(keras.optimizers.Adam):
    """``keras.optimizers.Adam`` for dense float32 weights."""

    def update_step(self, gradient, variable, learning_rate):
        step = tf.cast(self.iterations + 1, tf.float32)
        index = self._get_variable_index(variable)
        tf.raw_ops.ResourceApplyAdam(
            var=_resource(variable),
            m=_resource(self._momentums[index]),
            v=_resource(self._velocities[index]),
            beta1_power=self.beta_1**step,
            beta2_power=self.beta_2**step,
            lr=tf.cast(learning_rate, tf.float32),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=tf.cast(gradient, tf.float32),
        )


def _resource(variable: keras.Variable | tf.Variable) -> tf.Tensor:
    if isinstance(variable, keras.Variable):
        variable = variable.value
    return variable.handle

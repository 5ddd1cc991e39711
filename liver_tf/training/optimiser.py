"""The optimiser: Adam with one kernel per weight.

Keras updates a weight in a dozen operations, which took a fifth of a step at batch size 1;
TensorFlow's kernel does the same arithmetic in one pass. Variables and their names are those of
``keras.optimizers.Adam``.
"""

import keras
import tensorflow as tf

from liver_tf.training.replicas import ONE_DEVICE, OneDevice


def make_optimiser(
    precision: str = "float32", replicas: OneDevice = ONE_DEVICE, learning_rate: float = 1e-4
) -> keras.Optimizer:
    """A new Adam; float16 adds loss scaling."""
    with replicas.scope():
        adam = FusedAdam(learning_rate)
        return keras.optimizers.LossScaleOptimizer(adam) if precision == "float16" else adam


class FusedAdam(keras.optimizers.Adam):
    """``keras.optimizers.Adam`` for dense float32 weights."""

    def update_step(self, gradient, variable, learning_rate):
        step = tf.cast(self.iterations + 1, tf.float32)
        index = self._get_variable_index(variable)
        tf.raw_ops.ResourceApplyAdam(
            var=resource(variable),
            m=resource(self._momentums[index]),
            v=resource(self._velocities[index]),
            beta1_power=self.beta_1**step,
            beta2_power=self.beta_2**step,
            lr=tf.cast(learning_rate, tf.float32),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=tf.cast(gradient, tf.float32),
        )


def resource(variable: keras.Variable | tf.Variable) -> tf.Tensor:
    """The handle of a variable, for kernels that update it in place."""
    if isinstance(variable, keras.Variable):
        variable = variable.value
    return variable.handle

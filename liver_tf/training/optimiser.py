"""The optimiser: Adam with one kernel per weight.

Keras updates a weight in a dozen operations, which took a fifth of a step at batch size 1;
TensorFlow's kernel does the same arithmetic in one pass. Variables and their names are those of
``keras.optimizers.Adam``.
"""

import keras
import tensorflow as tf

from liver_tf.model.blocks import BLOCKS, block_of
from liver_tf.training.replicas import ONE_DEVICE, OneDevice


def make_optimiser(
    precision: str = "float32", replicas: OneDevice = ONE_DEVICE, learning_rate: float = 1e-4
) -> keras.Optimizer:
    """A new Adam; float16 adds loss scaling."""
    with replicas.scope():
        adam = FusedAdam(learning_rate)
        return keras.optimizers.LossScaleOptimizer(adam) if precision == "float16" else adam


def set_block_decay(optimiser: keras.Optimizer, decay: float) -> None:
    """Set ``FusedAdam.block_decay``; only steps traced afterwards are affected."""
    getattr(optimiser, "inner_optimizer", optimiser).block_decay = decay


class FusedAdam(keras.optimizers.Adam):
    """``keras.optimizers.Adam`` for dense float32 weights.

    Attributes:
      block_decay: Learning rate of a block as a share of that of the next block towards the output:
        discriminative fine-tuning (Howard and Ruder 2018).
    """

    block_decay = 1.0

    def apply(self, grads, trainable_variables=None):
        step = tf.cast(self.iterations + 1, tf.float32)
        # Computed once for all weights, so that the step is traced faster.
        self._shared = {
            "beta1_power": self.beta_1**step,
            "beta2_power": self.beta_2**step,
            "beta1": tf.constant(self.beta_1),
            "beta2": tf.constant(self.beta_2),
            "epsilon": tf.constant(self.epsilon),
        }
        super().apply(grads, trainable_variables)

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        if self.block_decay != 1.0:
            block = block_of(self._trainable_variables[index].path.split("/")[0])
            learning_rate *= self.block_decay ** (len(BLOCKS) - 1 - BLOCKS.index(block))
        tf.raw_ops.ResourceApplyAdam(
            var=resource(variable),
            m=resource(self._momentums[index]),
            v=resource(self._velocities[index]),
            lr=tf.cast(learning_rate, tf.float32),
            grad=tf.cast(gradient, tf.float32),
            **self._shared,
        )


def resource(variable: keras.Variable | tf.Variable) -> tf.Tensor:
    """The handle of a variable, for kernels that update it in place."""
    if isinstance(variable, keras.Variable):
        variable = variable.value
    return variable.handle

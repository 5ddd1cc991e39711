"""Exponential moving average of the weights during a cycle (Polyak and Juditsky 1992).

The average includes the moving statistics of batch normalization: those of the averaged weights
are close to the average of those of the weights. Weights that do not change keep every bit.
"""

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf

from liver_tf.training.optimiser import resource
from liver_tf.training.replicas import OneDevice


class WeightAverage:
    """The averages of a model's weights.

    Attributes:
      variables: One per weight, in the order of ``model.weights``.
    """

    def __init__(self, model: keras.Model, replicas: OneDevice) -> None:
        self._model = model
        with replicas.scope():
            self.variables = [
                keras.Variable(
                    weight.numpy(),
                    trainable=False,
                    aggregation="only_first_replica",
                    name="average",
                )
                for weight in model.weights
            ]

    def start(self) -> None:
        """Set the averages to the current weights."""
        for average, weight in zip(self.variables, self._model.weights, strict=True):
            average.assign(weight)

    def update(self, decay: float, steps: tf.Tensor) -> None:
        """Inside a compiled step: move the averages towards the weights.

        Args:
          decay: Share of the average that is kept in every step. The first steps keep at most
            (1 + steps) / (10 + steps), so that the initial weights do not last.
          steps: Integer scalar: steps taken in this cycle.
        """
        done = tf.cast(steps, tf.float32)
        rate = 1.0 - tf.minimum(decay, (1.0 + done) / (10.0 + done))
        trained = {
            id(weight)
            for layer in self._model.layers
            if layer.trainable
            for weight in layer.weights
        }
        for average, weight in zip(self.variables, self._model.weights, strict=True):
            if id(weight) in trained:
                # average -= rate * (average - weight)
                tf.raw_ops.ResourceApplyGradientDescent(
                    var=resource(average),
                    alpha=rate,
                    delta=tf.convert_to_tensor(average) - tf.convert_to_tensor(weight),
                )

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Exchange weights and averages inside the context."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def _exchange(self) -> None:
        for average, weight in zip(self.variables, self._model.weights, strict=True):
            value = weight.numpy().copy()
            weight.assign(average)
            average.assign(value)

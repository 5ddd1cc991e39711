"""A trained network with its meaning: HU in, probabilities on the same grid out."""

from __future__ import annotations

from pathlib import Path

import keras
import tensorflow as tf

from liver_tf.model.description import Description, load_network
from liver_tf.pipeline import resample
from liver_tf.refusals import Refusal


class TrainedNetwork(tf.Module):
    """Window, standardisation, resampling, U-Net, softmax and the way back, as one graph.

    The same graph serves prediction and export, so that both give the same answer.
    """

    def __init__(
        self,
        model: keras.Model,
        description: Description,
        *,
        flips: bool = False,
        constants: bool = False,
    ) -> None:
        """
        Args:
          flips: the network also sees the mirror image, patient's left to right, and the mean of
            both answers counts (test-time augmentation).
          constants: see ``with_constants``.
        """
        super().__init__()
        self.flips = flips
        self.description = description
        parts = [
            [one.numpy() for one in part]
            for part in (model.trainable_variables, model.non_trainable_variables)
        ]
        if not constants:
            parts = [[tf.Variable(one, trainable=False) for one in part] for part in parts]
        self._again = lambda: TrainedNetwork(model, description, flips=flips, constants=True)
        side = description.architecture.image_size

        # A function of its own, so that signatures that share the network hold it once.
        @tf.function(input_signature=[tf.TensorSpec([None, side, side, 1], tf.float32)])
        def softmax(standard: tf.Tensor) -> tf.Tensor:
            held = [[tf.constant(one) for one in part] for part in parts] if constants else parts
            logits, _ = model.stateless_call(*held, standard, training=False)
            return tf.nn.softmax(logits)

        #: float32 [batch, s, s, 1], standardised HU, to class probabilities [batch, s, s, classes].
        self.softmax = softmax

    @classmethod
    def of_run(cls, folder: Path, kind: str, *, flips: bool = False) -> TrainedNetwork:
        """The network of a finished run.

        Raises ``Refusal`` where there is none, or one of another kind (``liver``, ``lesion``).
        """
        model, description = load_network(folder)
        if description.kind != kind:
            raise Refusal(
                "network-kind",
                folder,
                expected=f"the run of a {kind} network",
                found=f"that of a {description.kind} network",
                remedy="Exchange the runs named, or name another.",
            )
        return cls(model, description, flips=flips)

    def with_constants(self) -> TrainedNetwork:
        """The same network with weights that are constants of its graph, to be exported.

        A kernel is then brought into the processor's layout once and not for every call, which
        saves a quarter of the time of a single slice. But every graph that holds the network has
        weights of its own in memory, so ``predict`` does without.
        """
        return self._again()

    def probabilities_on_grid(self, hu: tf.Tensor, box: tf.Tensor) -> tf.Tensor:
        """Class probabilities inside a box, on the network's own grid.

        Args:
          hu: float32 [batch, rows, columns]. box: [batch, 3], first row, first column, side.

        Returns:
          float32 [batch, s, s, classes].
        """
        low, high = (float(edge) for edge in self.description.window)
        above_air = tf.clip_by_value(hu, low, high) - low
        view = resample.take_region(above_air, box, self.description.architecture.image_size) + low
        standard = ((view - self.description.mean_hu) / self.description.sd_hu)[..., None]
        probabilities = self.softmax(standard)
        if self.flips:
            mirrored = self.softmax(tf.reverse(standard, axis=[2]))
            probabilities = (probabilities + tf.reverse(mirrored, axis=[2])) / 2.0
        return probabilities

    def probabilities(
        self, hu: tf.Tensor, box: tf.Tensor, origin: tf.Tensor, window: tf.Tensor
    ) -> tf.Tensor:
        """Class probabilities on a part of the slices' own grid, all zero outside the box.

        Args:
          origin: int32 [batch, 2], first row and column of the part in each slice.
          window: int32 [2], the size of the part.

        Returns:
          float32 [batch, *window, classes].
        """
        on_grid = self.probabilities_on_grid(hu, box)
        within = box - tf.pad(origin, [[0, 0], [0, 1]])
        return resample.put_back(on_grid, within, window[0], window[1])

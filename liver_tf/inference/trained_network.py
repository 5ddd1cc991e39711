"""A trained network from HU to class probabilities: window, standardisation, resampling, U-Net."""

from pathlib import Path

import keras
import tensorflow as tf

from liver_tf.inference.flips import average_over_flips
from liver_tf.model.description import Description, load_network
from liver_tf.model.precision_settings import FLOAT32
from liver_tf.model.prior_correction import prior_correction
from liver_tf.pipeline import resample
from liver_tf.pipeline.standardisation import standardise
from liver_tf.refusals import Refusal

#: An answer from NaN would name no lesion.
NOT_FINITE = "outputs of a network that are not finite"


class TrainedNetwork:
    """A network and its description as one graph, the same for prediction and export.

    ``softmax`` takes standardised HU, float32 [batch, s, s, 1], to class probabilities [batch, s,
    s, classes], and fails with ``InvalidArgumentError`` if the outputs are not finite. With
    ``flips`` the mirror image is averaged too (test-time augmentation). With ``corrected`` the
    class weights of the training loss are divided out of the probabilities (see
    ``decision_rules``); raises ``ValueError`` if they are unknown.
    """

    def __init__(
        self,
        model: keras.Model,
        description: Description,
        *,
        flips: bool = False,
        corrected: bool = False,
        constants: bool = False,
    ) -> None:
        if corrected and description.class_weights is None:
            raise ValueError("corrected: the class weights of the network are unknown")
        self.model, self.description = model, description
        self.flips, self.corrected = flips, corrected
        weights = [
            [variable.numpy() for variable in variables]
            for variables in (model.trainable_variables, model.non_trainable_variables)
        ]
        if not constants:
            weights = [[tf.Variable(w, trainable=False) for w in part] for part in weights]
        side = description.architecture.image_size

        # A separate function, so that signatures that share the network store it once.
        @tf.function(
            input_signature=[tf.TensorSpec([None, side, side, 1], tf.float32)], autograph=False
        )
        def softmax(standardised: tf.Tensor) -> tf.Tensor:
            state = [[tf.constant(w) for w in part] for part in weights] if constants else weights
            logits, _ = model.stateless_call(*state, standardised, training=False)
            logits = tf.debugging.check_numerics(logits, NOT_FINITE)
            if corrected:
                logits += prior_correction(description.class_weights)
            return tf.nn.softmax(logits)

        self.softmax = softmax

    @classmethod
    def of_run(
        cls, folder: Path, kind: str, *, flips: bool = False, precision: str = FLOAT32
    ) -> "TrainedNetwork":
        """The network of a finished run; ``kind`` is ``liver`` or ``lesion``.

        Raises:
          Refusal: As ``load_network``; ``network-kind`` if the network is of another kind.
        """
        model, description = load_network(folder, precision=precision)
        if description.kind != kind:
            raise Refusal(
                "network-kind",
                folder,
                expected=f"the run of a {kind} network",
                found=f"the run of a {description.kind} network",
                remedy="Check --liver_run and the run of the lesion network: they may be swapped.",
            )
        return cls(model, description, flips=flips)

    def with_correction(self, corrected: bool) -> "TrainedNetwork":
        """The same network with corrected or uncorrected probabilities."""
        if corrected == self.corrected:
            return self
        return TrainedNetwork(self.model, self.description, flips=self.flips, corrected=corrected)

    def with_constants(self) -> "TrainedNetwork":
        """The same network with its weights as constants of the graph, for export.

        Kernels are then converted to the processor's layout only once, which saves a quarter of the
        time of a single slice. But each graph holds a copy of the weights, so ``predict`` does not.
        """
        return TrainedNetwork(
            *(self.model, self.description),
            flips=self.flips,
            corrected=self.corrected,
            constants=True,
        )

    def probabilities_on_grid(self, hu: tf.Tensor, box: tf.Tensor) -> tf.Tensor:
        """Class probabilities inside boxes, on the grid of the network.

        Args:
          hu: float32 [batch, rows, columns].
          box: [batch, 3], first row, first column, side.

        Returns:
          float32 [batch, s, s, classes].
        """
        low, high = (float(edge) for edge in self.description.window)
        above_air = tf.clip_by_value(hu, low, high) - low
        view = resample.take_region(above_air, box, self.description.architecture.image_size) + low
        standardised = standardise(view, self.description.mean_hu, self.description.sd_hu)
        if self.flips:
            return average_over_flips(self.softmax, standardised)
        return self.softmax(standardised)

    def probabilities(
        self, hu: tf.Tensor, box: tf.Tensor, origin: tf.Tensor, window: tf.Tensor
    ) -> tf.Tensor:
        """As ``probabilities_on_grid``, float32 [batch, *window, classes], zero outside the boxes.

        ``origin`` int32 [batch, 2] is the first row and column of each window of the slices,
        ``window`` int32 [2] the rows and columns of all.
        """
        on_grid = self.probabilities_on_grid(hu, box)
        within = box - tf.pad(origin, [[0, 0], [0, 1]])
        return resample.put_back(on_grid, within, window[0], window[1])

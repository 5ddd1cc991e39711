"""What the network learns from a record set: labels, standardisation, loss."""

from dataclasses import asdict, dataclass
from typing import Any

import tensorflow as tf

from liver_tf.labels import LIVER_ONLY, LabelSet
from liver_tf.model.loss import class_weights, segmentation_loss
from liver_tf.pipeline.standardisation import standardise
from liver_tf.records import case_statistics
from liver_tf.records.manifest import Manifest
from liver_tf.refusals import Refusal
from liver_tf.training.loss_settings import LossSettings


@dataclass(frozen=True)
class Task:
    """Input standardisation and loss.

    Attributes:
      mean_hu, sd_hu: Liver HU of the training data.
      class_weights: One per class.
      window: (low, high) HU.
      dice_weight: Weight of the soft Dice loss.
      type_weight: Weight of the cross-entropy of the types within lesions.
    """

    mean_hu: float
    sd_hu: float
    class_weights: tuple[float, ...]
    window: tuple[int, int]
    dice_weight: float = 0.0
    type_weight: float = 0.0

    def standardise(self, hu: tf.Tensor) -> tf.Tensor:
        """HU [batch, s, s] to the network's input [batch, s, s, 1]."""
        return standardise(hu, self.mean_hu, self.sd_hu)

    def loss(self, logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """The loss of a batch, see ``segmentation_loss``."""
        weights = tf.constant(self.class_weights, tf.float32)
        return segmentation_loss(logits, labels, weights, self.dice_weight, self.type_weight)

    def identity(self) -> dict[str, Any]:
        """The fields, without weights of 0 of losses that earlier versions had not."""
        fields = asdict(self)
        return {
            name: value
            for name, value in fields.items()
            if value or name not in ("dice_weight", "type_weight")
        }


def label_map(source: LabelSet, kind: str) -> tuple[tuple[int, ...], LabelSet]:
    """The new label of each label, and the new label set. To a liver network, lesions are liver."""
    if kind == "liver":
        return (0, *([1] * (len(source) - 1))), LIVER_ONLY
    return tuple(range(len(source))), source


def task_of(
    manifest: Manifest,
    cases: tuple[str, ...],
    mapping: tuple[int, ...],
    loss: LossSettings = LossSettings(),  # noqa: B008
) -> Task:
    """Standardisation and class weights, computed from the training ``cases`` only.

    Args:
      mapping: From ``label_map``.

    Raises:
      Refusal: The training cases have no liver.
    """
    chosen = set(cases)
    total = case_statistics.total(e.statistics for e in manifest.cases if e.case in chosen)
    pixels = [0] * (max(mapping) + 1)
    for label, count in enumerate(total.class_pixels):
        pixels[mapping[label]] += count
    try:
        mean, sd = case_statistics.liver_mean_sd(total)
    except ValueError as error:
        raise Refusal(
            "no-liver",
            None,
            expected="training cases with liver",
            found=str(error),
            remedy="Check the labels with liver-tf verify.",
        ) from None
    weights = class_weights(pixels, loss.class_weights)
    return Task(mean, sd, weights, manifest.window, loss.dice_weight, loss.type_weight)

"""What the network learns from a record set: labels, standardisation, class weights."""

from dataclasses import dataclass

import tensorflow as tf

from liver_tf.labels import LIVER_ONLY, LabelSet
from liver_tf.model.loss import class_weights
from liver_tf.pipeline.standardisation import standardise
from liver_tf.records import case_statistics
from liver_tf.records.manifest import Manifest
from liver_tf.refusals import Refusal


@dataclass(frozen=True)
class Task:
    """Input standardisation and loss weights.

    Attributes:
      mean_hu, sd_hu: Liver HU of the training data.
      class_weights: One per class.
      window: (low, high) HU.
    """

    mean_hu: float
    sd_hu: float
    class_weights: tuple[float, ...]
    window: tuple[int, int]

    def standardise(self, hu: tf.Tensor) -> tf.Tensor:
        """HU [batch, s, s] to the network's input [batch, s, s, 1]."""
        return standardise(hu, self.mean_hu, self.sd_hu)


def label_map(source: LabelSet, kind: str) -> tuple[tuple[int, ...], LabelSet]:
    """The new label of each label, and the new label set. To a liver network, lesions are liver."""
    if kind == "liver":
        return (0, *([1] * (len(source) - 1))), LIVER_ONLY
    return tuple(range(len(source))), source


def task_of(
    manifest: Manifest, cases: tuple[str, ...], mapping: tuple[int, ...], *, weighted: bool = True
) -> Task:
    """Standardisation and loss weights, computed from the training ``cases`` only.

    Args:
      mapping: From ``label_map``.
      weighted: Weight each class by the inverse of its share of pixels instead of 1.

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
            remedy="Check the labels with data_prep.verify.",
        ) from None
    weights = class_weights(pixels) if weighted else (1.0,) * len(pixels)
    return Task(mean, sd, weights, manifest.window)

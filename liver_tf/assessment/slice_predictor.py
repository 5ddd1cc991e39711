"""Predict records slice by slice: label map, type scores and lesion probability of each."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from liver_tf.inference.cascade import Cascade
from liver_tf.inference.slice_batches import BATCH, SliceGraph
from liver_tf.labels import LIVER
from liver_tf.records.record_schema import SliceRecord


class SlicePrediction(NamedTuple):
    """The prediction of a slice.

    Attributes:
      labels: uint8 [rows, columns].
      type_scores: float32 [types], the mean probability of each lesion type over the predicted
        lesion pixels, scaled to sum to one; zero without a detection.
      lesion_probability: float32 [rows, columns], of any lesion type; 0 outside the ROI.
    """

    labels: np.ndarray
    type_scores: np.ndarray
    lesion_probability: np.ndarray


class SlicePredictor:
    """Cascades of the same networks as one graph, which predicts as the exported model does.

    They differ in their decision rule. Cascades with the same probabilities, and the same region
    where lesions are allowed, share one pass of the networks.
    """

    def __init__(self, *cascades: Cascade) -> None:
        self.label_set = cascades[0].label_set
        self.cascades = cascades
        self._graph = SliceGraph(self._answers, tf.TensorSpec([None, 2], tf.float32))

    def __call__(self, records: Sequence[SliceRecord]) -> list[SlicePrediction]:
        """Predictions of records by the first cascade."""
        return self.of_each_cascade(records)[0]

    def of_each_cascade(self, records: Sequence[SliceRecord]) -> list[list[SlicePrediction]]:
        """Predictions by cascade and record; records of the same shape are batched."""
        predictions: list[list] = [[None] * len(records) for _ in self.cascades]
        for shape in dict.fromkeys(record.image.shape for record in records):
            same = [k for k, record in enumerate(records) if record.image.shape == shape]
            for first in range(0, len(same), BATCH):
                batch = same[first : first + BATCH]
                hu = np.stack([records[k].image for k in batch])
                spacing = np.array(
                    [records[k].spacing_mm or (np.nan, np.nan) for k in batch], np.float32
                )
                answers = self._graph(hu, spacing)
                for of_cascade, answer in zip(predictions, answers, strict=True):
                    names = ("label_map", "type_probabilities", "origin", "probabilities")
                    values = (answer[name].numpy() for name in names)
                    for k, labels, scores, origin, window in zip(batch, *values, strict=True):
                        probability = _pasted(window[..., LIVER + 1 :].sum(axis=-1), origin, shape)
                        of_cascade[k] = SlicePrediction(labels, scores, probability)
        return predictions

    def _answers(self, hu: tf.Tensor, spacing_mm: tf.Tensor) -> list[dict[str, tf.Tensor]]:
        """The answer of each cascade to a batch of slices; a graph."""
        undecided: dict[tuple, dict] = {}
        answers = []
        for cascade in self.cascades:
            decides = (cascade.corrects, cascade.in_liver_only, cascade.how.rim_pixels)
            if decides not in undecided:
                undecided[decides] = cascade.undecided(hu, spacing_mm)
            size = tf.shape(hu)[1:3]
            answers.append(cascade.decided(undecided[decides], spacing_mm, size))
        return answers


def _pasted(window: np.ndarray, origin: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A window, float32 [r, c], at its place in a slice of zeros."""
    pasted = np.zeros(shape, np.float32)
    (row, column), (rows, columns) = origin, window.shape
    pasted[row : row + rows, column : column + columns] = window
    return pasted

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
    """A cascade as one graph, which predicts as the exported model does."""

    def __init__(self, cascade: Cascade) -> None:
        self.label_set = cascade.label_set
        self._graph = SliceGraph(cascade.slice_by_slice, tf.TensorSpec([None, 2], tf.float32))

    def __call__(self, records: Sequence[SliceRecord]) -> list[SlicePrediction]:
        """Predict records; records of the same shape are batched."""
        predictions: list = [None] * len(records)
        for shape in dict.fromkeys(record.image.shape for record in records):
            same = [k for k, record in enumerate(records) if record.image.shape == shape]
            for first in range(0, len(same), BATCH):
                batch = same[first : first + BATCH]
                hu = np.stack([records[k].image for k in batch])
                spacing = np.array(
                    [records[k].spacing_mm or (np.nan, np.nan) for k in batch], np.float32
                )
                answer = self._graph(hu, spacing)
                names = ("label_map", "type_probabilities", "origin", "probabilities")
                values = (answer[name].numpy() for name in names)
                for k, labels, scores, origin, window in zip(batch, *values, strict=True):
                    probability = _pasted(window[..., LIVER + 1 :].sum(axis=-1), origin, shape)
                    predictions[k] = SlicePrediction(labels, scores, probability)
        return predictions


def _pasted(window: np.ndarray, origin: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A window, float32 [r, c], at its place in a slice of zeros."""
    pasted = np.zeros(shape, np.float32)
    (row, column), (rows, columns) = origin, window.shape
    pasted[row : row + rows, column : column + columns] = window
    return pasted

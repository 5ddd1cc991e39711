"""Predict records slice by slice: label map and type scores of each."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from liver_tf.inference.cascade import Cascade
from liver_tf.inference.slice_batches import BATCH, SliceGraph
from liver_tf.records.record_schema import SliceRecord


class SlicePredictor:
    """A cascade as one graph, which predicts as the exported model does."""

    def __init__(self, cascade: Cascade) -> None:
        self.label_set = cascade.label_set
        self._graph = SliceGraph(cascade.slice_by_slice, tf.TensorSpec([None, 2], tf.float32))

    def __call__(self, records: Sequence[SliceRecord]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Predict records; records of the same shape are batched.

        Returns:
          For each record a label map, uint8 [rows, columns], and type scores, float32 [types]: the
          mean probability of each lesion type over the predicted lesion pixels, scaled to sum to
          one; zero without a detection.
        """
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
                maps, scores = (answer[n].numpy() for n in ("label_map", "type_probabilities"))
                for k, *prediction in zip(batch, maps, scores, strict=True):
                    predictions[k] = tuple(prediction)
        return predictions

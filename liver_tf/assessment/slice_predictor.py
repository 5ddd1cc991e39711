"""Slices through the cascade, each by itself: its label map, and how likely it makes each type."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from liver_tf.inference.cascade import Cascade
from liver_tf.inference.slice_batches import BATCH, SliceGraph, as_graph_dtype
from liver_tf.records.record_schema import SliceRecord


class SlicePredictor:
    """Predicts records as the servable does, and keeps the types' probabilities with the labels."""

    def __init__(self, cascade: Cascade) -> None:
        self.label_set = cascade.label_set
        self._graph = SliceGraph(cascade.slice_by_slice, tf.TensorSpec([None, 2], tf.float32))

    def __call__(self, records: Sequence[SliceRecord]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Label map and scores of every record; those of one shape go through together.

        Returns:
          For each record uint8 [rows, columns], and float32 [types]: the mean probability of each
          lesion type over the predicted lesion pixels, scaled to sum to one; zero where there are
          none.
        """
        found: list = [None] * len(records)
        for shape in dict.fromkeys(record.image.shape for record in records):
            places = [k for k, record in enumerate(records) if record.image.shape == shape]
            for first in range(0, len(places), BATCH):
                group = places[first : first + BATCH]
                hu = as_graph_dtype(np.stack([records[k].image for k in group]))
                spacing = np.float32([records[k].spacing_mm or (np.nan, np.nan) for k in group])
                answer = self._graph(hu, spacing)
                maps, scores = (answer[n].numpy() for n in ("label_map", "type_probabilities"))
                for k, *one in zip(group, maps, scores, strict=True):
                    found[k] = tuple(one)
        return found

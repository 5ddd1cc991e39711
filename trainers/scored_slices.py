"""Slices through the cascade, each by itself: its label map, and how likely it makes each type."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from liver_tf.inference.cascade import BATCH, Cascade
from liver_tf.labels import LIVER
from liver_tf.records.schema import SliceRecord


class ScoredSlices:
    """Predicts records as the servable does, and keeps the types' probabilities with the labels."""

    def __init__(self, cascade: Cascade) -> None:
        self._cascade = cascade
        self.label_set = cascade.label_set
        self._graph = tf.function(
            self._labels_and_sums,
            input_signature=[
                tf.TensorSpec([None, None, None], tf.float32),
                tf.TensorSpec([None, 2], tf.float32),
            ],
        )

    def __call__(self, records: Sequence[SliceRecord]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Label map and scores of every record; those of one shape go through together.

        Returns:
          For each record uint8 [rows, columns], and float32 [types]: the sum over the predicted
          lesion pixels of the probability of each lesion type, zero where there is none.
        """
        found: list = [None] * len(records)
        for shape in dict.fromkeys(record.image.shape for record in records):
            places = [k for k, record in enumerate(records) if record.image.shape == shape]
            for first in range(0, len(places), BATCH):
                group = places[first : first + BATCH]
                hu = np.stack([records[k].image for k in group]).astype(np.float32)
                spacing = [records[k].spacing_mm or (np.nan, np.nan) for k in group]
                labels, sums = self._graph(tf.constant(hu), tf.constant(np.float32(spacing)))
                for k, *one in zip(group, labels.numpy(), sums.numpy(), strict=True):
                    found[k] = tuple(one)
        return found

    def _labels_and_sums(self, hu: tf.Tensor, spacing_mm: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        answer = self._cascade.slice_by_slice(hu, spacing_mm)
        lesion = tf.cast(answer["label_map"] > LIVER, tf.float32)
        types = answer["probabilities"][..., LIVER + 1 :]
        return answer["label_map"], tf.reduce_sum(types * lesion[..., None], axis=[1, 2])

"""The cascade: liver network, largest component, ROI, lesion network, typed label map."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from liver_tf.inference.components import largest_component
from liver_tf.inference.network import Network
from liver_tf.inference.roi import RoiRule, boxes_of_scan
from liver_tf.labels import LIVER, LabelSet
from liver_tf.pipeline.resample import whole_slice_box
from liver_tf.records.schema import Box

BATCH = 8


@dataclass(frozen=True)
class Prediction:
    """What the cascade says of a scan.

    Attributes:
      labels: uint8 [slices, rows, columns], classes of the lesion network's label set.
      liver: bool [slices, rows, columns], the liver network's largest component.
      boxes: the ROI of every slice, None where there is no liver.
    """

    labels: np.ndarray
    liver: np.ndarray
    boxes: tuple[Box | None, ...]


class LiverFinder:
    """The first half of the cascade: where the liver is."""

    def __init__(self, network: Network) -> None:
        if network.description.kind != "liver":
            raise ValueError(f"expected a liver network, got a {network.description.kind} network")
        self._network = network

        @tf.function(
            input_signature=[tf.TensorSpec([None, None, None], tf.float32)], reduce_retracing=True
        )
        def probability(hu):
            box = whole_slice_box(tf.shape(hu)[1], tf.shape(hu)[2])
            box = tf.tile(box[None], [tf.shape(hu)[0], 1])
            return network.probabilities(hu, box)[..., LIVER]

        self._probability = probability

    @classmethod
    def of_run(cls, folder: Path) -> LiverFinder:
        return cls(Network.of_run(folder))

    @property
    def data_fingerprint(self) -> str:
        """Of the records on which the liver network was trained."""
        return self._network.description.data_fingerprint

    def find(self, hu: np.ndarray) -> np.ndarray:
        """The liver of a scan: bool [slices, rows, columns].

        ``hu`` is [slices, rows, columns], feet to head. The largest 3-D component over all
        slices (2-D for a single slice), holes filled.
        """
        mask = np.empty(hu.shape, bool)
        for first in range(0, len(hu), BATCH):
            part = tf.constant(hu[first : first + BATCH], tf.float32)
            mask[first : first + BATCH] = self._probability(part).numpy() > 0.5
        return largest_component(mask[0])[None] if len(mask) == 1 else largest_component(mask)


class Cascade:
    """Both networks: from HU to a label map with typed lesions."""

    def __init__(
        self, liver: LiverFinder, lesion: Network, *, lesions_in_liver_only: bool = True
    ) -> None:
        if lesion.description.kind != "lesion":
            raise ValueError(f"expected a lesion network, got a {lesion.description.kind} network")
        self._liver = liver
        self._lesion = lesion
        self._inside_only = lesions_in_liver_only
        self.rule = RoiRule(**lesion.description.roi["rule"])

        @tf.function(
            input_signature=[
                tf.TensorSpec([None, None, None], tf.float32),
                tf.TensorSpec([None, 3], tf.float32),
            ],
            reduce_retracing=True,
        )
        def label_map(hu, box):
            probabilities = lesion.probabilities(hu, box)
            return tf.cast(tf.argmax(probabilities, axis=-1), tf.uint8)

        self._label_map = label_map

    @classmethod
    def of_runs(cls, liver: Path, lesion: Path, **options) -> Cascade:
        """From the folders of two finished runs."""
        return cls(LiverFinder.of_run(liver), Network.of_run(lesion), **options)

    @property
    def label_set(self) -> LabelSet:
        return self._lesion.description.label_set

    def predict(self, hu: np.ndarray, spacing_mm: tuple[float, float] | None) -> Prediction:
        """Liver, ROI and typed lesions of a scan.

        Args:
          hu: [slices, rows, columns], HU, canonical orientation; a single slice has slices = 1.
          spacing_mm: (row, column) or None if unknown.

        Returns:
          A ``Prediction``; a scan without liver gives an empty one, not an error.
        """
        liver = self._liver.find(hu)
        boxes = boxes_of_scan(liver, spacing_mm, self.rule)
        labels = np.zeros(hu.shape, np.uint8)
        found = [index for index, box in enumerate(boxes) if box is not None]
        for group in _groups(found):
            squares = [[boxes[i].row, boxes[i].column, boxes[i].side] for i in group]
            labels[group] = self._label_map(
                tf.constant(hu[group], tf.float32), tf.constant(squares, tf.float32)
            ).numpy()
        if self._inside_only:
            labels = drop_lesions_outside(labels, liver)
        return Prediction(labels, liver, tuple(boxes))


def _groups(indices: list[int]) -> Iterable[list[int]]:
    return (indices[first : first + BATCH] for first in range(0, len(indices), BATCH))


def drop_lesions_outside(labels: np.ndarray, liver: np.ndarray) -> np.ndarray:
    """Make lesion pixels outside the liver background.

    Args:
      labels: uint8 [slices, rows, columns]. liver: bool of the same shape, holes filled.
    """
    return np.where((labels > LIVER) & ~liver, 0, labels).astype(np.uint8)

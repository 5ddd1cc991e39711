"""The cascade: liver network, largest component, ROI, lesion network, typed label map."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from liver_tf.inference.components import largest_component, largest_components_2d, widened
from liver_tf.inference.network import Network
from liver_tf.inference.roi import RoiRule, boxes_of_scan, square_boxes
from liver_tf.labels import LIVER, LabelSet
from liver_tf.model.description import Description
from liver_tf.pipeline import resample
from liver_tf.records.schema import Box

BATCH = 8

#: How far beyond the liver that was found the lesion network is believed, in pixels of the liver
#: network's grid (1.5 mm at 256 pixels, 4 mm at the demo's 96).
RIM_PIXELS = 1

_SLICES = tf.TensorSpec([None, None, None], tf.float32)


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


class LiverFinder(tf.Module):
    """The first half of the cascade: where the liver is.

    Components are found on the liver network's own grid and then brought back to the slice: that
    is where the network decides, and it costs less than on the slice's grid.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        if network.description.kind != "liver":
            raise ValueError(f"expected a liver network, got a {network.description.kind} network")
        self._network = network
        self._mask = tf.function(self.mask_on_grid, input_signature=[_SLICES])
        self._back = tf.function(
            self.back,
            input_signature=[tf.TensorSpec([None] * 3, tf.bool), tf.TensorSpec([2], tf.int32)],
        )

    @classmethod
    def of_run(cls, folder: Path) -> LiverFinder:
        """From a finished run; raises ``Refusal`` where there is none."""
        return cls(Network.of_run(folder, "liver"))

    @property
    def description(self) -> Description:
        """Of the liver network."""
        return self._network.description

    def mask_on_grid(self, hu: tf.Tensor) -> tf.Tensor:
        """HU [batch, rows, columns] to bool [batch, s, s]: liver more likely than not."""
        box = self._whole(tf.shape(hu)[0], tf.shape(hu)[1:3])
        return self._network.probabilities_on_grid(hu, box)[..., LIVER] > 0.5

    def back(self, masks: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
        """Masks bool [batch, s, s] to the slices' grid, bool [batch, rows, columns]."""
        box = self._whole(tf.shape(masks)[0], size)
        on_slice = resample.put_back(tf.cast(masks, tf.float32)[..., None], box, size[0], size[1])
        return on_slice[..., 0] > 0.5

    @staticmethod
    def _whole(batch: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
        return tf.tile(resample.whole_slice_box(size[0], size[1])[None], [batch, 1])

    def find(self, hu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The liver of a scan, HU [slices, rows, columns], feet to head.

        Returns:
          Two masks, bool [slices, rows, columns]: the largest 3-D component (2-D for a single
          slice) with its holes filled, and the same with a rim.
        """
        grid = np.concatenate([self._mask(tf.constant(part)).numpy() for part in _batches(hu)])
        liver = largest_component(grid)
        rim = widened(tf.constant(liver), RIM_PIXELS).numpy()
        size = tf.constant(hu.shape[1:], tf.int32)
        return tuple(
            np.concatenate([self._back(tf.constant(part), size).numpy() for part in _batches(mask)])
            for mask in (liver, rim)
        )


def _batches(pixels: np.ndarray) -> Iterator[np.ndarray]:
    dtype = bool if pixels.dtype == bool else np.float32
    for first in range(0, len(pixels), BATCH):
        yield pixels[first : first + BATCH].astype(dtype)


class Cascade(tf.Module):
    """Both networks: from HU to a label map with typed lesions."""

    def __init__(self, liver: LiverFinder, lesion: Network, *, in_liver_only: bool = True) -> None:
        super().__init__()
        if lesion.description.kind != "lesion":
            raise ValueError(f"expected a lesion network, got a {lesion.description.kind} network")
        self.liver = liver
        self.lesion = lesion
        self.inside_only = in_liver_only
        self.rule = RoiRule(**lesion.description.roi["rule"])
        self._label_map = tf.function(
            lambda hu, box: tf.argmax(lesion.probabilities(hu, box), axis=-1, output_type=tf.int32),
            input_signature=[_SLICES, tf.TensorSpec([None, 3], tf.int32)],
        )
        self._slices = tf.function(
            self.slice_by_slice, input_signature=[_SLICES, tf.TensorSpec([None, 2], tf.float32)]
        )

    @classmethod
    def of_runs(cls, liver: Path, lesion: Path, **options) -> Cascade:
        """From the folders of two finished runs."""
        return cls(LiverFinder.of_run(liver), Network.of_run(lesion, "lesion"), **options)

    @property
    def label_set(self) -> LabelSet:
        return self.lesion.description.label_set

    def predict(self, hu: np.ndarray, spacing_mm: tuple[float, float] | None) -> Prediction:
        """Liver, ROI and typed lesions of a scan whose slices belong together.

        Args:
          hu: [slices, rows, columns], HU, canonical orientation; a single slice has slices = 1.
          spacing_mm: (row, column) or None if unknown.

        Returns:
          A ``Prediction``; a scan without liver gives an empty one, not an error.
        """
        liver, rim = self.liver.find(hu)
        boxes = boxes_of_scan(liver, spacing_mm, self.rule)
        labels = np.zeros(hu.shape, np.uint8)
        found = [index for index, box in enumerate(boxes) if box is not None]
        for first in range(0, len(found), BATCH):
            group = found[first : first + BATCH]
            squares = [[boxes[i].row, boxes[i].column, boxes[i].side] for i in group]
            labels[group] = self._label_map(
                tf.constant(hu[group], tf.float32), tf.constant(squares)
            ).numpy()
        if self.inside_only:
            labels[~rim] = 0
        return Prediction(labels, liver, tuple(boxes))

    def predict_slices(self, hu: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
        """Label maps of slices that stand each for itself, as the servable sees them.

        Args:
          hu: [slices, rows, columns]. spacing_mm: [slices, 2]; NaN or 0 where unknown.

        Returns:
          uint8 [slices, rows, columns].
        """
        maps = [
            self._slices(tf.constant(hu_part), tf.constant(spacing_part))["label_map"].numpy()
            for hu_part, spacing_part in zip(
                _batches(hu), _batches(np.asarray(spacing_mm, np.float32)), strict=True
            )
        ]
        return np.concatenate(maps)

    def slice_by_slice(self, hu: tf.Tensor, spacing_mm: tf.Tensor) -> dict[str, tf.Tensor]:
        """The whole cascade as one graph, every slice by itself.

        Args:
          hu: float32 [batch, rows, columns]. spacing_mm: float32 [batch, 2]; NaN or 0 if unknown.

        Returns:
          ``label_map`` uint8 [batch, rows, columns], ``liver`` bool of the same shape,
          ``probabilities`` float32 [batch, rows, columns, classes] (zero outside the ROI).
        """
        size = tf.shape(hu)[1:3]
        grid = largest_components_2d(self.liver.mask_on_grid(hu))
        liver = self.liver.back(grid, size)
        boxes, found = square_boxes(liver, spacing_mm, self.rule)
        probabilities = self.lesion.probabilities(hu, boxes)
        probabilities *= tf.cast(found, tf.float32)[:, None, None, None]
        labels = tf.argmax(probabilities, axis=-1, output_type=tf.int32)
        if self.inside_only:
            rim = self.liver.back(widened(grid, RIM_PIXELS), size)
            labels = tf.where(rim, labels, 0)
        return {
            "label_map": tf.cast(labels, tf.uint8),
            "liver": liver,
            "probabilities": probabilities,
        }

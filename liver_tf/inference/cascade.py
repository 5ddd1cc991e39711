"""The cascade: liver network, largest component, ROI, lesion networks, typed label map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from liver_tf.inference import postprocessing
from liver_tf.inference.ensemble_checks import refuse_disagreement, require_agreement
from liver_tf.inference.graph_components_2d import largest_components_2d, widened
from liver_tf.inference.liver_finder import (
    BATCH,
    HostGraph,
    LiverFinder,
    batches,
    check_hu,
    for_graph,
)
from liver_tf.inference.postprocessing import NOTHING, PostProcessing
from liver_tf.inference.roi_box import RoiRule, boxes_of_scan, paste, square_boxes, windows_of
from liver_tf.inference.trained_network import TrainedNetwork
from liver_tf.labels import LIVER, LabelSet
from liver_tf.records.record_schema import Box

#: How far beyond the liver that was found the lesion network is believed, in pixels of the liver
#: network's grid (1.5 mm at 256 pixels, 4 mm at the demo's 96).
RIM_PIXELS = 1

_BOXES = tf.TensorSpec([None, 3], tf.int32)
_GRIDS = tf.TensorSpec([None, None, None], tf.bool)
_SPACINGS = tf.TensorSpec([None, 2], tf.float32)


@dataclass(frozen=True)
class Prediction:
    """What the cascade says of a scan.

    Attributes:
      labels: uint8 [slices, rows, columns], classes of the lesion networks' label set.
      liver: bool [slices, rows, columns], the liver network's largest component.
      boxes: the ROI of every slice, None where there is no liver.
      probabilities: float16 [lesion voxels, models, types], what each lesion network says of the
        voxels with a lesion's label, in C order. Of other voxels none are kept.
    """

    labels: np.ndarray
    liver: np.ndarray
    boxes: tuple[Box | None, ...]
    probabilities: np.ndarray


class Cascade(tf.Module):
    """Both halves: from HU to a label map with typed lesions.

    Args:
      lesion: a network or several (folds, say), whose probabilities are averaged.
      in_liver_only: drop what is found outside of the liver with its rim.
      how: what is made of the probabilities.

    Raises:
      ValueError: a network of another kind, or networks that do not agree in label set, window and
        ROI rule.
    """

    def __init__(
        self,
        liver: LiverFinder,
        lesion: TrainedNetwork | Sequence[TrainedNetwork],
        *,
        in_liver_only: bool = True,
        how: PostProcessing = NOTHING,
    ) -> None:
        super().__init__()
        self.liver = liver
        self.lesions = (lesion,) if isinstance(lesion, TrainedNetwork) else tuple(lesion)
        require_agreement([network.description for network in self.lesions])
        self.inside_only = in_liver_only
        self.how = how
        self.rule = RoiRule(**self.lesion.description.roi["rule"])
        self._of_box = HostGraph(self.labels_of_box, _BOXES, _GRIDS)
        self._slices = HostGraph(self.slice_by_slice, _SPACINGS)

    @classmethod
    def of_runs(
        cls,
        liver: Path,
        lesion: Path | Sequence[Path],
        *,
        flips: bool = False,
        use_chosen: bool = True,
        **options,
    ) -> Cascade:
        """From the folders of finished runs: one of a liver network, one or more of lesion ones.

        Args:
          flips: average over the mirror image too, in both halves.
          use_chosen: the post-processing that was chosen for the runs on their validation patients
            (:func:`liver_tf.inference.postprocessing.of_ensemble` of several), else none.

        Raises:
          Refusal: a run is not finished, of another kind, or its post-processing is damaged or of
            other weights; ``label-set-differs``, ``window-differs``, ``roi-rule-differs``.
        """
        runs = [lesion] if isinstance(lesion, Path) else list(lesion)
        refuse_disagreement(runs)
        if use_chosen:
            chosen = postprocessing.of_ensemble([postprocessing.load(run) for run in runs])
            options.setdefault("how", chosen)
        networks = [TrainedNetwork.of_run(run, "lesion", flips=flips) for run in runs]
        return cls(LiverFinder.of_run(liver, flips=flips), networks, **options)

    def with_constants(self) -> Cascade:
        """The same cascade of networks whose weights are constants, to be exported."""
        return Cascade(
            LiverFinder(self.liver.network.with_constants()),
            [network.with_constants() for network in self.lesions],
            in_liver_only=self.inside_only,
            how=self.how,
        )

    @property
    def lesion(self) -> TrainedNetwork:
        """The first lesion network: what it means holds for all of them."""
        return self.lesions[0]

    @property
    def label_set(self) -> LabelSet:
        return self.lesion.description.label_set

    def facts(self) -> dict:
        """How results come about, for those who read them."""
        return {
            "lesion_networks": len(self.lesions),
            "flips": self.lesion.flips,
            "in_liver_only": self.inside_only,
            "postprocessing": asdict(self.how),
        }

    def predict(self, hu: np.ndarray, spacing_mm: tuple[float, float] | None) -> Prediction:
        """Liver, ROI and typed lesions of a scan whose slices belong together.

        Args:
          hu: [slices, rows, columns], HU, canonical orientation; a single slice has slices = 1.
          spacing_mm: (row, column) or None if unknown.

        Returns:
          A ``Prediction``; a scan without liver gives an empty one, not an error.

        Raises:
          ValueError: as :func:`liver_tf.inference.liver_finder.check_hu`.
        """
        check_hu(hu)
        grids = self.liver.find_on_grid(hu)
        liver = self.liver.on_slices(grids, hu.shape[1:])
        boxes = boxes_of_scan(liver, spacing_mm, self.rule)
        labels = np.zeros(hu.shape, np.uint8)
        kept = [np.zeros((0, len(self.lesions), len(self.label_set.lesions)), np.float16)]
        found = [index for index, box in enumerate(boxes) if box is not None]
        for first in range(0, len(found), BATCH):
            group = found[first : first + BATCH]
            part = for_graph(hu[group])
            squares = [[boxes[i].row, boxes[i].column, boxes[i].side] for i in group]
            origin, window, probabilities = self._of_box(part, squares, grids[group])
            window, height_width = window.numpy(), window.shape[1:]
            for index, (row, column), own in zip(group, origin.numpy(), window, strict=True):
                labels[index, row : row + height_width[0], column : column + height_width[1]] = own
            kept.append(probabilities.numpy())
        probabilities = np.concatenate(kept)
        if self.how.least_area_mm2:
            spacing = tf.constant([spacing_mm or (0.0, 0.0)], tf.float32)
            least = int(postprocessing.least_pixels(spacing, self.how)[0])
            probabilities = probabilities[postprocessing.without_small(labels, liver, least)]
        return Prediction(labels, liver, tuple(boxes), probabilities)

    def labels_of_box(
        self, hu: tf.Tensor, box: tf.Tensor, grids: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Lesions in the ROIs of slices, all but the least size of lesions; a graph.

        Args:
          hu: int16 or float32 [batch, rows, columns]. box: int32 [batch, 3]. grids: bool [batch,
            s, s], the liver on the liver network's grid.

        Returns:
          int32 [batch, 2], first row and column of each slice's window; its labels, uint8 [batch,
          r, c]; and of the lesion pixels, in C order, float16 [pixels, networks, types].
        """
        size = tf.shape(hu)[1:3]
        origin, window = windows_of(box, size)
        each = self._of_each_network(tf.cast(hu, tf.float32), box, origin, window)
        inside = self._inside(grids, size, origin, window)
        labels = postprocessing.decide(_mean(each), inside, self.how)
        of_types = tf.stack([one[..., LIVER + 1 :] for one in each], axis=3)
        kept = tf.cast(tf.boolean_mask(of_types, labels > LIVER), tf.float16)
        return origin, tf.cast(labels, tf.uint8), kept

    def _of_each_network(self, hu, box, origin, window) -> list[tf.Tensor]:
        return [network.probabilities(hu, box, origin, window) for network in self.lesions]

    def _inside(self, grids, size, origin, window) -> tf.Tensor | None:
        """Where in the windows lesions are believed; None: anywhere."""
        if not self.inside_only:
            return None
        return self.liver.back_to_window(widened(grids, RIM_PIXELS), size, origin, window)

    def predict_slices(self, hu: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
        """Label maps of slices that stand each for itself, as the servable sees them.

        Args:
          hu: [slices, rows, columns]. spacing_mm: [slices, 2]; NaN or 0 where unknown.

        Returns:
          uint8 [slices, rows, columns].

        Raises:
          ValueError: as :func:`liver_tf.inference.liver_finder.check_hu`.
        """
        check_hu(hu)
        spacing_mm = np.asarray(spacing_mm, np.float32)
        labels = np.empty(hu.shape, np.uint8)
        for number, part in enumerate(batches(hu)):
            own = slice(number * BATCH, number * BATCH + len(part))
            answer = self._slices(part, spacing_mm[own])
            labels[own] = answer["label_map"].numpy()
        return labels

    def look(self, hu: tf.Tensor, spacing_mm: tf.Tensor) -> dict[str, tf.Tensor | None]:
        """What the networks say of slices, each by itself, before anything is decided; a graph.

        Args:
          hu: [batch, rows, columns]. spacing_mm: float32 [batch, 2]; NaN or 0 if unknown.

        Returns:
          ``liver`` bool [batch, rows, columns]; ``origin`` int32 [batch, 2], first row and column
          of a window around each ROI; and of these windows ``probabilities`` float32 [batch, r, c,
          classes], the mean over the networks, zero outside the ROI; ``liver_in_window`` bool
          [batch, r, c]; ``inside`` bool [batch, r, c] or None: where lesions are believed.
        """
        size = tf.shape(hu)[1:3]
        grids = largest_components_2d(self.liver.mask_on_grid(hu))
        liver = self.liver.back(grids, size)
        boxes, found = square_boxes(liver, spacing_mm, self.rule)
        origin, window = windows_of(boxes, size)
        each = self._of_each_network(tf.cast(hu, tf.float32), boxes, origin, window)
        return {
            "liver": liver,
            "origin": origin,
            "probabilities": _mean(each) * tf.cast(found, tf.float32)[:, None, None, None],
            "liver_in_window": self.liver.back_to_window(grids, size, origin, window),
            "inside": self._inside(grids, size, origin, window),
        }

    def slice_by_slice(self, hu: tf.Tensor, spacing_mm: tf.Tensor) -> dict[str, tf.Tensor]:
        """The whole cascade as one graph, every slice by itself.

        Args:
          hu: int16 or float32 [batch, rows, columns]. spacing_mm: float32 [batch, 2]; NaN or 0 if
            unknown.

        Returns:
          ``label_map`` uint8 [batch, rows, columns], ``liver`` bool of the same shape, and
          ``type_probabilities`` float32 [batch, types]: the mean over the lesion pixels, scaled to
          sum to one; zero where there are none. Beside these ``origin`` and ``probabilities`` as
          of ``look``.
        """
        seen = self.look(hu, spacing_mm)
        labels = postprocessing.decide(seen["probabilities"], seen["inside"], self.how)
        if self.how.least_area_mm2:
            least = postprocessing.least_pixels(spacing_mm, self.how)
            labels = postprocessing.without_small_2d(labels, seen["liver_in_window"], least)
        lesion = tf.cast(labels > LIVER, tf.float32)[..., None]
        types = tf.reduce_sum(seen["probabilities"][..., LIVER + 1 :] * lesion, axis=[1, 2])
        return {
            "label_map": paste(tf.cast(labels, tf.uint8), seen["origin"], tf.shape(hu)[1:3]),
            "liver": seen["liver"],
            "type_probabilities": tf.math.divide_no_nan(
                types, tf.reduce_sum(types, axis=1, keepdims=True)
            ),
            "origin": seen["origin"],
            "probabilities": seen["probabilities"],
        }


def _mean(each: list[tf.Tensor]) -> tf.Tensor:
    return each[0] if len(each) == 1 else tf.add_n(each) / len(each)

"""The cascade: liver network, largest component, ROI box, lesion networks, labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from liver_tf.inference import postprocessing
from liver_tf.inference.decision_threshold import decide
from liver_tf.inference.ensemble_checks import check_networks, check_runs
from liver_tf.inference.graph_components_2d import dilate, largest_components_2d
from liver_tf.inference.liver_finder import LiverFinder
from liver_tf.inference.postprocessing import NOTHING, PostProcessing
from liver_tf.inference.roi_box import boxes_of_scan, paste, square_boxes, windows_of
from liver_tf.inference.roi_rule import RoiRule
from liver_tf.inference.slice_batches import (
    BATCH,
    SliceGraph,
    as_graph_dtype,
    batches,
    check_hu,
)
from liver_tf.inference.small_lesions import least_pixels, without_small, without_small_2d
from liver_tf.inference.trained_network import TrainedNetwork
from liver_tf.labels import LIVER, LabelSet
from liver_tf.records.record_schema import Box

#: Lesions are kept this far outside the liver, in pixels of the liver network's grid (1.5 mm at
#: 256 pixels, 4 mm at the 96 of the demo).
RIM_PIXELS = 1

_BOXES = tf.TensorSpec([None, 3], tf.int32)
_GRIDS = tf.TensorSpec([None, None, None], tf.bool)
_SPACINGS = tf.TensorSpec([None, 2], tf.float32)


@dataclass(frozen=True)
class Prediction:
    """The cascade's result for a scan.

    Attributes:
      labels: uint8 [slices, rows, columns], classes of the lesion networks' label set.
      liver: bool [slices, rows, columns], the largest component of the liver network's mask.
      boxes: The ROI box of every slice; None for slices without liver.
      probabilities: float16 [lesion voxels, networks, types], the probabilities of each lesion
        network at the voxels with a lesion's label, in C order.
    """

    labels: np.ndarray
    liver: np.ndarray
    boxes: tuple[Box | None, ...]
    probabilities: np.ndarray


class Cascade(tf.Module):
    """From HU to a label map with typed lesions.

    Args:
      liver: The first half.
      lesion: One lesion network, or several (of all folds, for example) to be averaged.
      in_liver_only: Remove lesions outside the liver and its rim.
      how: Post-processing of the probabilities.

    Raises:
      ValueError: A network is of another kind, or the networks differ in label set, window or ROI
        rule.
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
        self.lesion_networks = (lesion,) if isinstance(lesion, TrainedNetwork) else tuple(lesion)
        check_networks([network.description for network in self.lesion_networks])
        self.in_liver_only = in_liver_only
        self.how = how
        self.rule = RoiRule(**self.lesion_network.description.roi["rule"])
        self._of_box = SliceGraph(self.labels_of_box, _BOXES, _GRIDS)
        self._slices = SliceGraph(self.slice_by_slice, _SPACINGS)

    @classmethod
    def of_runs(
        cls,
        liver: Path,
        lesion: Path | Sequence[Path],
        *,
        flips: bool = False,
        use_chosen: bool = True,
        **options: Any,
    ) -> Cascade:
        """From the folders of finished runs.

        Args:
          liver: Run of a liver network.
          lesion: One or several runs of lesion networks.
          flips: Average over the mirror image too, in both halves.
          use_chosen: Use the post-processing chosen for the runs on their validation patients
            (``postprocessing.of_ensemble`` for several), else none.
          options: See ``Cascade``.

        Raises:
          Refusal: As ``TrainedNetwork.of_run``, ``postprocessing.load`` and
            ``ensemble_checks.check_runs``.
        """
        runs = [lesion] if isinstance(lesion, Path) else list(lesion)
        check_runs(runs)
        if use_chosen:
            chosen = postprocessing.of_ensemble([postprocessing.load(run) for run in runs])
            options.setdefault("how", chosen)
        networks = [TrainedNetwork.of_run(run, "lesion", flips=flips) for run in runs]
        return cls(LiverFinder.of_run(liver, flips=flips), networks, **options)

    def with_constants(self) -> Cascade:
        """The same cascade with weights as constants, for export."""
        return Cascade(
            LiverFinder(self.liver.network.with_constants()),
            [network.with_constants() for network in self.lesion_networks],
            in_liver_only=self.in_liver_only,
            how=self.how,
        )

    @property
    def lesion_network(self) -> TrainedNetwork:
        """The first lesion network: its labels, window and ROI rule are those of all."""
        return self.lesion_networks[0]

    @property
    def label_set(self) -> LabelSet:
        """The label set of the lesion networks."""
        return self.lesion_network.description.label_set

    def facts(self) -> dict[str, Any]:
        """How results are computed, for ``lesions.json`` and ``model.json``."""
        return {
            "lesion_networks": len(self.lesion_networks),
            "flips": self.lesion_network.flips,
            "in_liver_only": self.in_liver_only,
            "postprocessing": asdict(self.how),
        }

    def predict(self, hu: np.ndarray, spacing_mm: tuple[float, float] | None) -> Prediction:
        """Liver, ROI and typed lesions of a scan.

        Args:
          hu: HU [slices, rows, columns], canonical orientation; slices = 1 for a single slice.
          spacing_mm: (row, column); None if unknown.

        Returns:
          The prediction, empty for a scan without liver.

        Raises:
          ValueError: As ``check_hu``.
        """
        check_hu(hu)
        grids = self.liver.find_on_grid(hu)
        liver = self.liver.on_slices(grids, hu.shape[1:])
        boxes = boxes_of_scan(liver, spacing_mm, self.rule)
        labels = np.zeros(hu.shape, np.uint8)
        parts = [np.zeros((0, len(self.lesion_networks), len(self.label_set.lesions)), np.float16)]
        with_liver = [index for index, box in enumerate(boxes) if box is not None]
        for first in range(0, len(with_liver), BATCH):
            group = with_liver[first : first + BATCH]
            squares = [[boxes[i].row, boxes[i].column, boxes[i].side] for i in group]
            origin, window, probabilities = self._of_box(
                as_graph_dtype(hu[group]), squares, grids[group]
            )
            rows, columns = window.shape[1:]
            for index, (row, column), values in zip(
                group, origin.numpy(), window.numpy(), strict=True
            ):
                labels[index, row : row + rows, column : column + columns] = values
            parts.append(probabilities.numpy())
        probabilities = np.concatenate(parts)
        if self.how.least_area_mm2:
            spacing = tf.constant([spacing_mm or (0.0, 0.0)], tf.float32)
            least = int(least_pixels(spacing, self.how)[0])
            probabilities = probabilities[without_small(labels, liver, least)]
        return Prediction(labels, liver, tuple(boxes), probabilities)

    def labels_of_box(
        self, hu: tf.Tensor, box: tf.Tensor, grids: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Lesions in the ROI boxes of slices, before small ones are removed; a graph.

        Args:
          hu: int16 or float32 [batch, rows, columns].
          box: int32 [batch, 3].
          grids: bool [batch, s, s], the liver on the grid of the liver network.

        Returns:
          int32 [batch, 2], first row and column of each slice's window; uint8 [batch, r, c], its
          labels; float16 [lesion pixels, networks, types], probabilities in C order.
        """
        size = tf.shape(hu)[1:3]
        origin, window = windows_of(box, size)
        of_networks = self._of_each_network(tf.cast(hu, tf.float32), box, origin, window)
        inside = self._inside(grids, size, origin, window)
        labels = decide(_mean(of_networks), inside, self.how)
        of_types = tf.stack([maps[..., LIVER + 1 :] for maps in of_networks], axis=3)
        kept = tf.cast(tf.boolean_mask(of_types, labels > LIVER), tf.float16)
        return origin, tf.cast(labels, tf.uint8), kept

    def predict_slices(self, hu: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
        """Label maps of slices, each on its own, as in the exported model.

        Args:
          hu: HU [slices, rows, columns].
          spacing_mm: [slices, 2]; NaN or 0 where unknown.

        Returns:
          uint8 [slices, rows, columns].

        Raises:
          ValueError: As ``check_hu``.
        """
        check_hu(hu)
        spacing_mm = np.asarray(spacing_mm, np.float32)
        labels = np.empty(hu.shape, np.uint8)
        for number, part in enumerate(batches(hu)):
            these = slice(number * BATCH, number * BATCH + len(part))
            labels[these] = self._slices(part, spacing_mm[these])["label_map"].numpy()
        return labels

    def slice_by_slice(self, hu: tf.Tensor, spacing_mm: tf.Tensor) -> dict[str, tf.Tensor]:
        """The cascade as one graph, each slice on its own.

        Args:
          hu: int16 or float32 [batch, rows, columns].
          spacing_mm: float32 [batch, 2]; NaN or 0 where unknown.

        Returns:
          ``label_map`` uint8 [batch, rows, columns]; ``liver`` bool of the same shape;
          ``type_probabilities`` float32 [batch, types], the mean over the lesion pixels, scaled to
          sum to 1, zero without lesion; ``origin`` and ``probabilities`` of ``undecided``.
        """
        undecided = self.undecided(hu, spacing_mm)
        labels = decide(undecided["probabilities"], undecided["inside"], self.how)
        if self.how.least_area_mm2:
            least = least_pixels(spacing_mm, self.how)
            labels = without_small_2d(labels, undecided["liver_in_window"], least)
        lesion = tf.cast(labels > LIVER, tf.float32)[..., None]
        types = tf.reduce_sum(undecided["probabilities"][..., LIVER + 1 :] * lesion, axis=[1, 2])
        label_map = paste(tf.cast(labels, tf.uint8), undecided["origin"], tf.shape(hu)[1:3])
        return {
            "label_map": label_map,
            "liver": undecided["liver"],
            "type_probabilities": tf.math.divide_no_nan(
                types, tf.reduce_sum(types, axis=1, keepdims=True)
            ),
            "origin": undecided["origin"],
            "probabilities": undecided["probabilities"],
        }

    def undecided(self, hu: tf.Tensor, spacing_mm: tf.Tensor) -> dict[str, tf.Tensor | None]:
        """The networks' answers for slices, each on its own, before labels are decided; a graph.

        Args:
          hu: [batch, rows, columns].
          spacing_mm: float32 [batch, 2]; NaN or 0 where unknown.

        Returns:
          ``liver`` bool [batch, rows, columns]; ``origin`` int32 [batch, 2], first row and column
          of a window around each ROI box; and for these windows ``probabilities`` float32 [batch,
          r, c, classes], the mean over the networks, zero outside the box; ``liver_in_window`` bool
          [batch, r, c]; ``inside`` bool [batch, r, c] or None: where lesions may be.
        """
        size = tf.shape(hu)[1:3]
        grids = largest_components_2d(self.liver.mask_on_grid(hu))
        liver = self.liver.to_slices(grids, size)
        boxes, found = square_boxes(liver, spacing_mm, self.rule)
        origin, window = windows_of(boxes, size)
        of_networks = self._of_each_network(tf.cast(hu, tf.float32), boxes, origin, window)
        return {
            "liver": liver,
            "origin": origin,
            "probabilities": _mean(of_networks) * tf.cast(found, tf.float32)[:, None, None, None],
            "liver_in_window": self.liver.to_windows(grids, size, origin, window),
            "inside": self._inside(grids, size, origin, window),
        }

    def _of_each_network(
        self, hu: tf.Tensor, box: tf.Tensor, origin: tf.Tensor, window: tf.Tensor
    ) -> list[tf.Tensor]:
        return [net.probabilities(hu, box, origin, window) for net in self.lesion_networks]

    def _inside(
        self, grids: tf.Tensor, size: tf.Tensor, origin: tf.Tensor, window: tf.Tensor
    ) -> tf.Tensor | None:
        """Where in the windows lesions may be; None for anywhere."""
        if not self.in_liver_only:
            return None
        return self.liver.to_windows(dilate(grids, RIM_PIXELS), size, origin, window)


def _mean(of_networks: list[tf.Tensor]) -> tf.Tensor:
    return of_networks[0] if len(of_networks) == 1 else tf.add_n(of_networks) / len(of_networks)

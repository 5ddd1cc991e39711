"""The cascade: liver network, largest component, ROI box, lesion networks, labels."""

from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from liver_tf.inference import postprocessing
from liver_tf.inference.decision_threshold import decide
from liver_tf.inference.ensemble_checks import (
    check_networks,
    check_outline_network,
    check_outline_run,
    check_runs,
)
from liver_tf.inference.graph_components_2d import grown, largest_components_2d
from liver_tf.inference.largest_component_3d import largest_component
from liver_tf.inference.liver_finder import LiverFinder
from liver_tf.inference.postprocessing import NOTHING, PostProcessing
from liver_tf.inference.roi_box import boxes_of_scan, paste, square_boxes, windows_of
from liver_tf.inference.roi_rule import RoiRule
from liver_tf.inference.slice_batches import BATCH, SliceGraph, check_hu
from liver_tf.inference.small_lesions import (
    least_pixels,
    without_flat,
    without_small,
    without_small_2d,
)
from liver_tf.inference.trained_network import TrainedNetwork
from liver_tf.labels import LIVER, LabelSet
from liver_tf.model.description import precision_for
from liver_tf.model.liver_rule import WHOLE_SLICE
from liver_tf.model.precision import precision_of
from liver_tf.model.precision_settings import FLOAT32
from liver_tf.records.record_schema import Box
from liver_tf.trained_on import CascadeTrainedOn


@dataclass(frozen=True)
class Prediction:
    """The cascade's result for a scan.

    Attributes:
      labels: uint8 [slices, rows, columns], classes of the lesion networks' label set.
      liver: bool [slices, rows, columns], the largest component of the liver network's mask.
      boxes: The ROI box of each slice; None without liver.
      probabilities: float16 [lesion voxels, networks, types], of each lesion network at the voxels
        labelled as lesion, in C order.
      network_mask: bool [slices, s, s], all components of the liver network's mask, on its grid.
    """

    labels: np.ndarray
    liver: np.ndarray
    boxes: tuple[Box | None, ...]
    probabilities: np.ndarray
    network_mask: np.ndarray


class Cascade:
    """From HU to a label map with typed lesions.

    Several lesion networks (of all folds, for example) are averaged. With an ``outline`` network,
    without types, it decides where lesions are, and the lesion networks only of which type (see
    ``typed_within``). ``in_liver_only`` removes lesions outside the liver and its rim.
    Probabilities are corrected for the class weights of the loss if ``how.corrected``. Raises
    ``ValueError`` as ``check_networks``, ``check_outline_network`` and ``TrainedNetwork``.
    """

    def __init__(
        self,
        liver: LiverFinder,
        lesion: TrainedNetwork | Sequence[TrainedNetwork],
        *,
        outline: TrainedNetwork | None = None,
        in_liver_only: bool = True,
        how: PostProcessing = NOTHING,
    ) -> None:
        self.liver = liver
        networks = (lesion,) if isinstance(lesion, TrainedNetwork) else tuple(lesion)
        check_networks([network.description for network in networks])
        if outline is not None:
            check_outline_network(outline.description, networks[0].description)
        self.outline = outline and outline.with_correction(how.corrected)
        self.lesion_networks = tuple(n.with_correction(how.corrected) for n in networks)
        self.in_liver_only = in_liver_only
        self.how = how
        #: The first lesion network: its labels, window and ROI rule are those of all.
        self.lesion_network = self.lesion_networks[0]
        self.label_set: LabelSet = self.lesion_network.description.label_set
        self.rule = RoiRule(**self.lesion_network.description.roi["rule"])
        self._of_boxes = SliceGraph(
            self.labels_of_boxes,
            tf.TensorSpec([None, 3], tf.int32),
            tf.TensorSpec([None, None, None], tf.bool),
        )

    @classmethod
    def of_runs(
        cls,
        liver: Path,
        lesion: Path | Sequence[Path],
        outline: Path | None = None,
        *,
        flips: bool = False,
        precision: str = FLOAT32,
        use_chosen: bool = True,
        decision: str | None = None,
        **options: Any,
    ) -> "Cascade":
        """From the folders of finished runs.

        Args:
          outline: See ``Cascade``; the post-processing is then that of this run.
          flips: Average over the mirror image too, in all networks.
          precision: Of all networks; ``auto`` chooses for the first lesion network.
          use_chosen, decision: See ``postprocessing.of_runs``.
          options: See ``Cascade``.

        Raises:
          Refusal: As ``TrainedNetwork.of_run``, ``postprocessing.of_runs``, ``check_runs`` and
            ``check_outline_run``.
        """
        runs = [lesion] if isinstance(lesion, Path) else list(lesion)
        check_runs(runs)
        if outline is not None:
            check_outline_run(outline, runs[0])
        if "how" not in options:
            deciding = [outline] if outline else runs
            options["how"] = postprocessing.of_runs(
                deciding, use_chosen=use_chosen, decision=decision
            )
            if options["how"].corrected:
                for run in runs:
                    postprocessing.require_class_weights(run)
        how: dict[str, Any] = {
            "flips": flips,
            "precision": precision_for(runs[0], precision).name,
        }
        networks = [TrainedNetwork.of_run(run, "lesion", **how) for run in runs]
        if outline is not None:
            options["outline"] = TrainedNetwork.of_run(outline, "lesion", **how)
        return cls(LiverFinder.of_run(liver, **how), networks, **options)

    def with_constants(self) -> "Cascade":
        """The same cascade with weights as constants, for export."""
        return Cascade(
            LiverFinder(self.liver.network.with_constants()),
            [network.with_constants() for network in self.lesion_networks],
            outline=self.outline and self.outline.with_constants(),
            in_liver_only=self.in_liver_only,
            how=self.how,
        )

    @property
    def roi_networks(self) -> tuple[TrainedNetwork, ...]:
        """The lesion networks, and after them the outline network if there is one."""
        return (*self.lesion_networks, *([self.outline] if self.outline else []))

    @property
    def trained_on(self) -> CascadeTrainedOn:
        """What the networks learned from; the outline network is the last lesion network."""
        lesion = tuple(network.description.trained_on for network in self.roi_networks)
        return CascadeTrainedOn(self.liver.network.description.trained_on, lesion)

    def facts(self) -> dict[str, Any]:
        """How results are computed, for ``lesions.json`` and ``model.json``."""
        return {
            "lesion_networks": len(self.lesion_networks),
            # Absent without one, as in results of earlier versions.
            **({"outline_networks": 1} if self.outline else {}),
            **({} if self.liver.rule == WHOLE_SLICE else {"liver_rule": asdict(self.liver.rule)}),
            "flips": self.lesion_network.flips,
            "precision": precision_of(self.lesion_network.model),
            "in_liver_only": self.in_liver_only,
            "decision": self.how.decision,
            "postprocessing": {
                name: value
                for name, value in asdict(self.how).items()
                if value or name != "whole_liver"  # absent in earlier versions
            },
        }

    def predict(self, hu: np.ndarray, spacing_mm: Sequence[float] | None) -> Prediction:
        """Liver, ROI and typed lesions of a scan.

        Args:
          hu: HU [slices, rows, columns], canonical orientation; slices = 1 for a single slice.
          spacing_mm: (slice, row, column), or (row, column) if the distance of the slices is
            unknown; None if unknown.

        Raises:
          ValueError: As ``check_hu``.
        """
        check_hu(hu)
        network_mask = self.liver.masks_on_grid(hu)
        grids = largest_component(network_mask)
        liver = self.liver.on_slices(grids, hu.shape[1:])
        in_slice = (spacing_mm[-2], spacing_mm[-1]) if spacing_mm else None
        boxes = boxes_of_scan(liver, in_slice, self.rule)
        labels = np.zeros(hu.shape, np.uint8)
        parts = [self.no_probabilities()]
        squares = [astuple(box) for box in boxes if box is not None]
        with_liver = [index for index, box in enumerate(boxes) if box is not None]
        for first in range(0, len(squares), BATCH):
            group = with_liver[first : first + BATCH]
            origin, window, probabilities = self._of_boxes(
                hu[group], squares[first : first + BATCH], grids[group]
            )
            rows, columns = window.shape[1:]
            for index, (row, column), values in zip(
                group, origin.numpy(), window.numpy(), strict=True
            ):
                labels[index, row : row + rows, column : column + columns] = values
            parts.append(probabilities.numpy())
        probabilities = np.concatenate(parts)
        if self.how.least_area_mm2:
            spacing = tf.constant([in_slice or (0.0, 0.0)], tf.float32)
            least = int(least_pixels(spacing, self.how)[0])
            probabilities = probabilities[without_small(labels, liver, least)]
        if self.how.least_height and spacing_mm and len(spacing_mm) == 3:
            kept = without_flat(labels, liver, spacing_mm, self.how.least_height)
            probabilities = probabilities[kept]
        return Prediction(labels, liver, tuple(boxes), probabilities, network_mask)

    @property
    def corrects(self) -> bool:
        """Whether the correction for the class weights of the loss changes any probability."""
        weights = [n.description.class_weights for n in self.roi_networks if n.corrected]
        return any(each is None or len(set(each)) > 1 for each in weights)

    def no_probabilities(self) -> np.ndarray:
        """The probabilities of no lesion voxels."""
        return np.zeros((0, len(self.lesion_networks), len(self.label_set.lesions)), np.float16)

    def labels_of_boxes(
        self, hu: tf.Tensor, boxes: tf.Tensor, grids: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Lesions in the ROI boxes of slices, before small ones are removed; a graph.

        ``grids`` bool [batch, s, s] is the liver on the grid of the liver network.

        Returns:
          int32 [batch, 2], first row and column of each slice's window; uint8 [batch, r, c], its
          labels; float16 [lesion pixels, networks, types], probabilities in C order.
        """
        origin, window = windows_of(boxes, tf.shape(hu)[1:3])
        networks, liver, inside = self._on_windows(hu, boxes, grids, origin, window)
        outlined = self.outline is not None
        labels = decide(_mean(networks), inside, self.how, outlined=outlined, liver=liver)
        of_types = tf.stack([maps[..., LIVER + 1 :] for maps in networks], axis=3)
        kept = tf.cast(tf.boolean_mask(of_types, labels > LIVER), tf.float16)
        return origin, tf.cast(labels, tf.uint8), kept

    def slice_by_slice(self, hu: tf.Tensor, spacing_mm: tf.Tensor) -> dict[str, tf.Tensor]:
        """The cascade as one graph; each slice is processed independently.

        Args:
          hu: int16 or float32 [batch, rows, columns].
          spacing_mm: float32 [batch, 2]; NaN or 0 where unknown.

        Returns:
          ``label_map`` uint8 [batch, rows, columns]; ``liver`` bool of the same shape;
          ``type_probabilities`` float32 [batch, types], the mean over the lesion pixels, scaled to
          sum to 1, zero without lesion; ``origin`` and ``probabilities`` of ``undecided``.
        """
        return self.decided(self.undecided(hu, spacing_mm), spacing_mm, tf.shape(hu)[1:3])

    def decided(
        self, undecided: dict[str, tf.Tensor | None], spacing_mm: tf.Tensor, size: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """The result of ``slice_by_slice`` from that of ``undecided``; ``size``: of a slice."""
        labels = decide(
            *(undecided["probabilities"], undecided["inside"], self.how),
            outlined=self.outline is not None,
            liver=undecided["liver_in_window"],
        )
        if self.how.least_area_mm2:
            least = least_pixels(spacing_mm, self.how)
            labels = without_small_2d(labels, undecided["liver_in_window"], least)
        lesion = tf.cast(labels > LIVER, tf.float32)[..., None]
        types = tf.reduce_sum(undecided["probabilities"][..., LIVER + 1 :] * lesion, axis=[1, 2])
        sums = tf.reduce_sum(types, axis=1, keepdims=True)
        return {
            "label_map": paste(tf.cast(labels, tf.uint8), undecided["origin"], size),
            "type_probabilities": tf.math.divide_no_nan(types, sums),
            **{name: undecided[name] for name in ("liver", "origin", "probabilities")},
        }

    def undecided(self, hu: tf.Tensor, spacing_mm: tf.Tensor) -> dict[str, tf.Tensor | None]:
        """As ``slice_by_slice``, before labels are decided.

        Returns:
          ``liver`` bool [batch, rows, columns]; ``origin`` int32 [batch, 2], first row and column
          of a window around each ROI box; and for these windows ``probabilities`` float32 [batch,
          r, c, classes], the mean over the networks, zero outside the box; ``liver_in_window`` bool
          [batch, r, c]; ``inside`` bool [batch, r, c] or None: where lesions are allowed.
        """
        size = tf.shape(hu)[1:3]
        of_liver = self.liver.probability_on_grid(hu)
        grids = largest_components_2d(self.liver.decide(of_liver))
        liver = self.liver.to_slices(grids, size)
        boxes, found = square_boxes(liver, spacing_mm, self.rule)
        origin, window = windows_of(boxes, size)
        networks, in_window, inside = self._on_windows(hu, boxes, grids, origin, window)
        # For executors that ignore the check of the networks' outputs: no answer from NaN.
        finite = tf.reduce_all(tf.math.is_finite(of_liver), axis=[1, 2])
        known = tf.where(finite, tf.cast(found, tf.float32), float("nan"))
        return {
            "liver": liver,
            "origin": origin,
            "probabilities": _mean(networks) * known[:, None, None, None],
            "liver_in_window": in_window,
            "inside": inside,
        }

    def _on_windows(
        self,
        hu: tf.Tensor,
        boxes: tf.Tensor,
        grids: tf.Tensor,
        origin: tf.Tensor,
        window: tf.Tensor,
    ) -> tuple[list[tf.Tensor], tf.Tensor, tf.Tensor | None]:
        """Each network's probabilities, the liver, where lesions are allowed (None: everywhere)."""
        hu, size = tf.cast(hu, tf.float32), tf.shape(hu)[1:3]
        networks = [net.probabilities(hu, boxes, origin, window) for net in self.lesion_networks]
        if self.outline is not None:
            outline = self.outline.probabilities(hu, boxes, origin, window)
            networks = [typed_within(outline, types) for types in networks]
        liver = self.liver.to_windows(grids, size, origin, window)
        if not self.in_liver_only:
            return networks, liver, None
        allowed = grown(grids, self.how.rim_pixels)
        return networks, liver, self.liver.to_windows(allowed, size, origin, window)


def typed_within(outline: tf.Tensor, typed: tf.Tensor) -> tf.Tensor:
    """Probabilities of an outline network, that of lesion divided by those of a lesion network.

    Args:
      outline: float32 [..., 3], of background, liver and lesion.
      typed: float32 [..., 2 + types].

    Returns:
      float32 [..., 2 + types]: those of ``outline`` for background and liver, and for each type
      P(lesion) times its share of all types in ``typed``; equal shares where all are 0.
    """
    types = typed[..., LIVER + 1 :]
    total = tf.reduce_sum(types, axis=-1, keepdims=True)
    # Not divide_no_nan: NaN must stay NaN, so that it is not taken for an answer.
    shares = tf.where(total == 0.0, 1.0 / types.shape[-1], types / total)
    return tf.concat([outline[..., : LIVER + 1], outline[..., LIVER + 1 :] * shares], axis=-1)


def _mean(networks: list[tf.Tensor]) -> tf.Tensor:
    return networks[0] if len(networks) == 1 else tf.add_n(networks) / len(networks)

"""Measures beyond the paper: false positives, regions, outlines, lesions, and types.

Each function returns measures by name for ``measure_registry``.
"""

from collections.abc import Sequence

import numpy as np

from liver_tf.labels import BACKGROUND, LIVER
from liver_tf.measures.lesion_matching import IOU_THRESHOLDS
from liver_tf.measures.measure_sums import (
    RankingSums,
    RatioSums,
    ResamplingUnits,
    column,
    divided,
    sums_by_group,
)
from liver_tf.measures.size_bins import size_bin
from liver_tf.measures.slice_result import PixelCounts, SliceResult, class_names
from liver_tf.measures.surface_distances import SurfaceDistances


def healthy_measures(results: Sequence[SliceResult]) -> dict[str, RatioSums]:
    """False positives on healthy slices.

    * ``healthy_false_positive_rate``: proportion of healthy slices with a predicted lesion pixel.
    * ``healthy_false_positives_per_slice``: predicted lesions per healthy slice.
    """
    healthy = 1 - column(r.has_lesion for r in results)
    detected = column(r.detected for r in results)
    lesions = column(len(r.found_lesions) for r in results)
    return {
        "healthy_false_positive_rate": RatioSums(healthy * detected, healthy),
        "healthy_false_positives_per_slice": RatioSums(healthy * lesions, healthy),
    }


def outline_measures(results: Sequence[SliceResult]) -> dict[str, RatioSums]:
    """Surface distances and Dice over slices.

    * ``hd95_*_mm``, ``assd_*_mm``: mean over the slices in which both outlines exist.
    * ``dice_liver``: liver including lesions, mean over the slices with liver in truth or
      prediction.
    * ``pooled_dice_lesion``: Dice of the lesion pixels of all slices together.
    """
    return {
        "hd95_lesion_mm": _mean_distance([r.lesion_surface for r in results], "hd95_mm"),
        "assd_lesion_mm": _mean_distance([r.lesion_surface for r in results], "assd_mm"),
        "dice_liver": RatioSums.mean(r.liver.dice for r in results),
        "hd95_liver_mm": _mean_distance([r.liver_surface for r in results], "hd95_mm"),
        "assd_liver_mm": _mean_distance([r.liver_surface for r in results], "assd_mm"),
        "pooled_dice_lesion": RatioSums.pooled_dice([r.lesion for r in results]),
    }


def region_measures(results: Sequence[SliceResult]) -> dict[str, RatioSums]:
    """Dice of each region, pooled and by case.

    * ``pooled_dice_class_NAME``: pixels of all slices together, healthy slices included.
    * ``case_dice_REGION``: pixels of a case together, then the mean over the cases with the region
      in truth or prediction.

    The class ``liver`` is liver outside lesions; the region ``liver`` includes them.
    """
    classes = {
        f"class_{name}": [r.classes[name] for r in results]
        for name in class_names(results)[BACKGROUND + 1 :]
    }
    regions = {"liver": [r.liver for r in results], "lesion": [r.lesion for r in results]} | classes
    pooled = {f"pooled_dice_{name}": RatioSums.pooled_dice(p) for name, p in classes.items()}
    return pooled | {f"case_dice_{name}": _case_dice(results, p) for name, p in regions.items()}


def lesion_measures(
    results: Sequence[SliceResult], size: str | None = None
) -> dict[str, RatioSums]:
    """``lesion_recall_iouN``, ``lesion_precision_iouN``, ``lesion_f1_iouN``.

    A matched pair is a hit if its IoU is at least N %. ``size``: a size bin; None for all lesions.
    """
    measures = {}
    for threshold in IOU_THRESHOLDS:
        sides = [
            [
                [x.iou >= threshold for x in lesions if size in (None, size_bin(x.diameter_mm))]
                for lesions in side
            ]
            for side in ([r.true_lesions for r in results], [r.found_lesions for r in results])
        ]
        true, found = (column(map(len, side)) for side in sides)
        true_hits, found_hits = (column(map(sum, side)) for side in sides)
        percent = round(100 * threshold)
        measures[f"lesion_recall_iou{percent}"] = RatioSums(true_hits, true)
        measures[f"lesion_precision_iou{percent}"] = RatioSums(found_hits, found)
        measures[f"lesion_f1_iou{percent}"] = RatioSums(true_hits + found_hits, true + found)
    return measures


def type_measures(results: Sequence[SliceResult]) -> dict[str, RatioSums]:
    """``sensitivity_TYPE`` and ``specificity_TYPE`` by majority class.

    The type against all other slices, healthy ones included; a slice without a detection is not
    classified as any type.
    """
    measures = {}
    for label, name in enumerate(class_names(results)[LIVER + 1 :], LIVER + 1):
        true = column(r.true_diagnosis == label for r in results)
        predicted = column(r.predicted_diagnosis == label for r in results)
        measures[f"sensitivity_{name}"] = RatioSums(true * predicted, true)
        measures[f"specificity_{name}"] = RatioSums((1 - true) * (1 - predicted), 1 - true)
    return measures


def roc_areas(results: Sequence[SliceResult], weights: np.ndarray) -> dict[str, RankingSums]:
    """``auc_TYPE``: the type against the other types by score, over slices with a lesion.

    A slice without a detection scores all types equally. ``weights``: float64 [slices].
    """
    types = class_names(results)[LIVER + 1 :]
    equal = (1.0 / max(len(types), 1),) * len(types)
    scores = np.array(
        [r.type_scores if r.type_scores is not None else equal for r in results], np.float64
    ).reshape(len(results), len(types))
    # Detections without scores (results of an older version) cannot be ranked.
    ranked = column(r.has_lesion and (r.type_scores is not None or not r.detected) for r in results)
    networks = ResamplingUnits.of(results).network_of
    return {
        f"auc_{name}": RankingSums(
            scores[:, k],
            np.array([r.true_diagnosis == LIVER + 1 + k for r in results], bool),
            weights * ranked,
            networks,
        )
        for k, name in enumerate(types)
    }


def _case_dice(results: Sequence[SliceResult], pixels: Sequence[PixelCounts]) -> RatioSums:
    # The Dice of a case is stored in its first slice, so that it is resampled with its patient.
    rows: dict[tuple[object, ...], int] = {}
    cases = ((r.patient, r.case, r.network) for r in results)
    first = np.array([rows.setdefault(case, row) for row, case in enumerate(cases)], np.int64)
    dice = RatioSums.pooled_dice(pixels)
    both = np.stack([dice.numerator, dice.denominator], axis=1)
    above, below = sums_by_group(both, first, len(results)).T
    return RatioSums(np.nan_to_num(divided(above, below)), (below > 0).astype(np.float64))


def _mean_distance(surfaces: Sequence[SurfaceDistances | None], distance: str) -> RatioSums:
    return RatioSums.mean(None if s is None else getattr(s, distance) for s in surfaces)

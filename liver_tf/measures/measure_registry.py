"""Every measure: what is computed, and what it is called.

To add a measure, write a function from slice results to ``name -> RatioSums`` (as in
``further_measures``), list it in ``_FAMILIES``, and give the measure a title in ``MEASURE_TITLES``.
Intervals, CSV, JSON and the table of further measures include it without more changes; describe it
in docs/measures.md. A measure of slices with a lesion that should also be given by size of lesion
goes into ``_BY_SIZE``.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from liver_tf.measures.calibration import calibration_error
from liver_tf.measures.free_response import (
    free_response_measures,
    rank_lesions,
    sensitivity_by_size,
)
from liver_tf.measures.further_measures import (
    healthy_measures,
    lesion_measures,
    outline_measures,
    region_measures,
    roc_areas,
    type_measures,
)
from liver_tf.measures.measure_sums import MeasureSums, column
from liver_tf.measures.paper_measures import paper_measures
from liver_tf.measures.size_bins import SIZE_BINS, UNKNOWN
from liver_tf.measures.slice_result import SliceResult, class_names

#: The paper's measures, in the order of its table.
PAPER_MEASURES = ("dice1", "dice2", "success", "accuracy")

#: Measures in which protocols are compared: the paper's, and false positives as the counterpart.
COMPARED = (*PAPER_MEASURES, "healthy_false_positive_rate")

_FAMILIES = (
    paper_measures,
    healthy_measures,
    outline_measures,
    region_measures,
    lesion_measures,
    type_measures,
)

#: Measures of slices with a lesion that are also given by size of lesion.
_BY_SIZE = (
    *(*PAPER_MEASURES, "accuracy_detected", "detected"),
    *("hd95_lesion_mm", "assd_lesion_mm", "pooled_dice_lesion"),
)

MEASURE_TITLES = {
    "dice1": "Dice1",
    "dice2": "Dice2",
    "success": "Success",
    "accuracy": "Accuracy",
    "accuracy_detected": "Accuracy among detected",
    "detected": "Slices with any detection",
    "healthy_false_positive_rate": "False-positive rate on healthy slices",
    "healthy_false_positives_per_slice": "False-positive lesions per healthy slice",
    "dice_liver": "Liver Dice, mean over slices",
    "case_dice_liver": "Liver Dice, mean over cases",
    "case_dice_lesion": "Lesion Dice, mean over cases",
    "pooled_dice_lesion": "Lesion Dice, pooled",
    "pooled_dice_class_liver": "Dice of liver outside lesions, pooled",
    "case_dice_class_liver": "Dice of liver outside lesions, mean over cases",
    "hd95_lesion_mm": "Lesion Hausdorff distance (95 %), mm",
    "assd_lesion_mm": "Lesion average surface distance, mm",
    "hd95_liver_mm": "Liver Hausdorff distance (95 %), mm",
    "assd_liver_mm": "Liver average surface distance, mm",
    "lesion_average_precision": "Average precision of lesions",
    "lesion_sensitivity_at_0.1": "Lesion sensitivity at 0.1 false lesions per slice",
    "lesion_sensitivity_at_1": "Lesion sensitivity at 1 false lesion per slice",
    "calibration_error": "Calibration error of the type",
    "calibration_error_scaled": "Calibration error of the type, temperature-scaled",
}

#: Titles of measures whose name ends in a class, a type or an IoU.
_TITLES_BY_PREFIX = {
    "pooled_dice_class_": "Dice of {}, pooled",
    "case_dice_class_": "Dice of {}, mean over cases",
    "sensitivity_": "Sensitivity for {}",
    "specificity_": "Specificity for {}",
    "lesion_sensitivity_at_0.1_": "Sensitivity for {} lesions at 0.1 false lesions per slice",
    "lesion_sensitivity_at_1_": "Sensitivity for {} lesions at 1 false lesion per slice",
    "auc_": "ROC AUC, {} against the other types",
    "lesion_recall_iou": "Lesion recall at IoU {} %",
    "lesion_precision_iou": "Lesion precision at IoU {} %",
    "lesion_f1_iou": "Lesion F1 at IoU {} %",
}


def measure_title(measure: str) -> str:
    """Title of a measure; ``pooled_dice_class_cyst`` becomes ``Dice of cyst, pooled``.

    Raises:
      ValueError: there is no such measure.
    """
    if measure in MEASURE_TITLES:
        return MEASURE_TITLES[measure]
    for prefix, title in _TITLES_BY_PREFIX.items():
        if measure.startswith(prefix):
            return title.format(measure.removeprefix(prefix))
    raise ValueError(f"no measure {measure!r}")


def summarise(results: Sequence[SliceResult]) -> dict[str, float | int | None]:
    """Counts and all measures over a set of slices, ready for JSON (None, never NaN).

    ``images``, ``lesion_images``, ``healthy_images`` and ``patients`` count a slice once, however
    many ``networks`` predicted it. A measure over nothing is None. Definitions: docs/measures.md.
    """
    has_lesion = {r.image: r.has_lesion for r in results}
    counts = {
        "images": len(has_lesion),
        "lesion_images": sum(has_lesion.values()),
        "healthy_images": len(has_lesion) - sum(has_lesion.values()),
        "patients": len({r.patient for r in results}),
        "networks": len({r.network for r in results}),
    }
    return counts | {name: sums.value() for name, sums in all_measures(results).items()}


def all_measures(results: Sequence[SliceResult]) -> dict[str, MeasureSums]:
    """Every measure as sums over slices.

    If several networks (seeds) predicted a slice, each result gets a proportional weight: seeds are
    averaged within a slice.

    Raises:
      ValueError: the results come from different label sets, or a network predicted a slice twice.
    """
    class_names(results)  # refuses a mixture of label sets
    weights = row_weights(results)
    sums: dict[str, MeasureSums] = {
        name: ratio.weighted(weights)
        for family in _FAMILIES
        for name, ratio in family(results).items()
    }
    sums |= roc_areas(results, weights)
    sums |= free_response_measures(results, weights)
    sums["calibration_error"] = calibration_error(results, weights, scaled=False)
    sums["calibration_error_scaled"] = calibration_error(results, weights, scaled=True)
    return sums


def measures_by_size(results: Sequence[SliceResult]) -> dict[str, dict[str, MeasureSums]]:
    """Measures of slices with a lesion, and of lesions, by size of lesion.

    A slice belongs to the bin of its largest true lesion. Lesion recall and sensitivity assign
    every true lesion to its own bin, lesion precision every predicted lesion to its own. Not given
    by size: F1, which would mix both; ROC AUC and calibration error, as bins hold too few slices.

    Returns:
      bin -> measure -> sums, for the bins of ``size_bins`` and, if a lesion has no known size,
      ``size_unknown``.
    """
    weights = row_weights(results)
    sizes = [r.size if r.has_lesion else None for r in results]
    of_slices = paper_measures(results) | outline_measures(results)
    of_slices = {measure: of_slices[measure] for measure in _BY_SIZE} | type_measures(results)
    lesions = [x for r in results for x in (*r.true_lesions, *r.found_lesions)]
    unknown = any(x.diameter_mm is None for x in lesions)
    rankings = rank_lesions(results, weights)
    by_size: dict[str, dict[str, MeasureSums]] = {}
    for name in (*SIZE_BINS, *([UNKNOWN] if unknown else [])):
        in_bin = column(size == name for size in sizes) * weights
        of_lesions = lesion_measures(results, size=name)
        by_size[name] = {
            **{measure: ratio.weighted(in_bin) for measure, ratio in of_slices.items()},
            **{
                measure: ratio.weighted(weights)
                for measure, ratio in of_lesions.items()
                if not measure.startswith("lesion_f1")
            },
            **({} if rankings is None else sensitivity_by_size(rankings, name)),
        }
    return by_size


def row_weights(results: Sequence[SliceResult]) -> np.ndarray:
    """1 / number of networks that predicted the slice, float64 [results].

    Raises:
      ValueError: a network predicted a slice twice.
    """
    keys = Counter((r.image, r.network) for r in results)
    if keys and max(keys.values()) > 1:
        raise ValueError(
            f"expected every slice once per network; found {sum(n > 1 for n in keys.values())} "
            "slices more than once. Set the seed of each result if several seeds are pooled."
        )
    times = Counter(r.image for r in results)
    return column(1.0 / times[r.image] for r in results)

"""Results of runs as a table with one row per slice."""

from collections.abc import Sequence

from liver_tf.csv_text import csv_text
from liver_tf.labels import LIVER
from liver_tf.measures.lesion_matching import IOU_THRESHOLDS
from liver_tf.measures.slice_result import SliceResult
from liver_tf.results.run_results import RunResults

_COLUMNS = (
    *("protocol", "fold", "seed", "part", "validation", "patient", "case", "slice"),
    *("true_type", "predicted_type", "overlap", "dice", "dice_liver"),
    *("lesion_pixels_true", "lesion_pixels_predicted", "lesion_pixels_both"),
    *("size", "largest_lesion_mm", "lesions_true", "lesions_found"),
    *(f"lesions_hit_iou{round(100 * threshold)}" for threshold in IOU_THRESHOLDS),
    *("hd95_lesion_mm", "assd_lesion_mm", "hd95_liver_mm", "assd_liver_mm"),
    *("row_spacing_mm", "column_spacing_mm", "temperature"),
)


def results_csv(runs: Sequence[RunResults]) -> str:
    """All slices of runs as CSV; undefined values are empty."""
    types = runs[0].label_set.lesions if runs else ()
    rows = [[_cell(v) for v in _row(run, result)] for run in runs for result in run.results]
    return csv_text([[*_COLUMNS, *(f"score_{name}" for name in types)], *rows])


def _row(run: RunResults, result: SliceResult) -> list[object]:
    names = run.label_set.classes
    diameters = [x.diameter_mm for x in result.true_lesions if x.diameter_mm is not None]
    lesion, liver = result.lesion_surface, result.liver_surface
    return [
        *(run.protocol, run.fold, run.seed, run.part, run.validation),
        *(result.patient, result.case, result.slice_index),
        "healthy" if result.true_diagnosis is None else names[result.true_diagnosis],
        "nothing" if result.predicted_diagnosis is None else names[result.predicted_diagnosis],
        *(int(result.overlap), result.dice, result.liver.dice),
        *(result.lesion.true, result.lesion.predicted, result.lesion.both),
        *(result.size if result.has_lesion else None, max(diameters, default=None)),
        *(len(result.true_lesions), len(result.found_lesions)),
        *(sum(x.iou >= threshold for x in result.true_lesions) for threshold in IOU_THRESHOLDS),
        *((lesion.hd95_mm, lesion.assd_mm) if lesion else (None, None)),
        *((liver.hd95_mm, liver.assd_mm) if liver else (None, None)),
        *(result.spacing_mm or (None, None)),
        result.temperature,
        *(result.type_scores or (None,) * (len(names) - LIVER - 1)),
    ]


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)

"""Measures by name, and what each is called in tables."""

from __future__ import annotations

#: The paper's measures, in the order of its table's columns.
PAPER_MEASURES = ("dice1", "dice2", "success", "accuracy")

#: What protocols are compared in: the paper's measures, and the price of marking too much.
COMPARED = (*PAPER_MEASURES, "healthy_false_positive_rate")

MEASURE_TITLES = {
    "dice1": "Dice1",
    "dice2": "Dice2",
    "success": "Success",
    "accuracy": "Accuracy",
    "accuracy_detected": "Accuracy among detected",
    "detected": "Share with any detection",
    "healthy_false_positive_rate": "Healthy slices with a lesion reported",
    "healthy_false_positives_per_slice": "Lesions reported per healthy slice",
    "dice_liver": "Liver Dice, mean over slices",
    "case_dice_liver": "Liver Dice, mean over cases",
    "case_dice_lesion": "Lesion Dice, mean over cases",
    "pooled_dice_lesion": "Lesion Dice, pooled",
    "pooled_dice_class_liver": "Dice of liver outside lesions, pooled",
    "case_dice_class_liver": "Dice of liver outside lesions, mean over cases",
    "hd95_lesion_mm": "Lesion Hausdorff distance 95 %, mm",
    "assd_lesion_mm": "Lesion mean surface distance, mm",
    "hd95_liver_mm": "Liver Hausdorff distance 95 %, mm",
    "assd_liver_mm": "Liver mean surface distance, mm",
    "calibration_error": "Calibration error of the type",
    "calibration_error_scaled": "Calibration error of the type, scaled",
}

_PREFIXES = {
    "pooled_dice_class_": "Dice of {}, pooled",
    "case_dice_class_": "Dice of {}, mean over cases",
    "sensitivity_": "Sensitivity for {}",
    "specificity_": "Specificity for {}",
    "auc_": "ROC area, {} against the rest",
    "lesion_recall_iou": "Lesions found, IoU {} % or more",
    "lesion_precision_iou": "Found lesions that are true, IoU {} % or more",
    "lesion_f1_iou": "F1 of lesions, IoU {} % or more",
}


def measure_title(measure: str) -> str:
    """Human name of a measure; ``pooled_dice_class_cyst`` becomes ``Dice of cyst, pooled``.

    Raises:
      ValueError: there is no such measure.
    """
    if measure in MEASURE_TITLES:
        return MEASURE_TITLES[measure]
    for prefix, title in _PREFIXES.items():
        if measure.startswith(prefix):
            return title.format(measure.removeprefix(prefix))
    raise ValueError(f"no measure {measure!r}")

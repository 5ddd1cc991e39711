"""The terms of a report in a sentence each, for tooltips and the glossary.

In full, with empty cases and sources: docs/measures.md.
"""

import re

#: A heading that begins with a term, in any case, gets its text; the longest term counts.
GLOSSARY = {
    "Dice1": "Mean Dice of lesion against rest over the slices in which prediction and lesion "
    "overlap.",
    "Dice2": "Mean Dice of lesion against rest over all slices with a lesion; a missed lesion "
    "counts 0.",
    "Success": "Proportion of slices with a lesion in which the prediction overlaps the lesion.",
    "Accuracy": "Proportion of slices with a lesion in which the majority class among the "
    "predicted lesion pixels is the true type; a slice without a detection counts as wrong.",
    "Accuracy among detected": "Accuracy over the slices with a detection only.",
    "Slices with any detection": "Proportion of slices with a lesion and any detection.",
    "False-positive rate": "Proportion of healthy slices with a predicted lesion; lower is better.",
    "False-positive lesions per": "Mean number of predicted lesions in a healthy slice; lower is "
    "better.",
    "Liver Dice": "Dice of liver, lesions included, against background.",
    "Lesion Dice": "Dice of lesion against rest. Pooled: pixels of all slices together. Over "
    "cases: pixels of a scan together, then the mean.",
    "Hausdorff distance": "HD95: 95th percentile of the distances between both outlines, in mm; "
    "lower is better. Slices in which one outline is missing do not count.",
    "Average surface distance": "Mean distance between both outlines, in mm; lower is better. "
    "Slices in which one outline is missing do not count.",
    "Average precision": "Area under precision against sensitivity over all thresholds of the "
    "lesion score; missed lesions count.",
    "Lesion recall": "Proportion of true lesions that a predicted lesion matches with at least "
    "this IoU (intersection over union).",
    "Lesion precision": "Proportion of predicted lesions that match a true lesion with at least "
    "this IoU (intersection over union).",
    "Lesion F1": "Harmonic mean of lesion recall and lesion precision.",
    "Lesion sensitivity": "Proportion of true lesions found at the threshold that allows this "
    "many false lesions per slice.",
    "Sensitivity": "Of a type: proportion of its slices classified as such. At a rate of false "
    "lesions: proportion of true lesions found.",
    "Specificity": "Of a type: proportion of all other slices, healthy ones included, not "
    "classified as such.",
    "ROC AUC": "Area under the ROC curve of a type against the other types, by its mean "
    "probability over the predicted lesion pixels; 0.5 is chance.",
    "Calibration error": "Mean difference between confidence and proportion correct, in ten bins "
    "of equal width; on few slices it is biased upwards even for a perfectly calibrated network.",
    "p": "Permutation test over patients: how often a difference at least as large arises if both "
    "protocols are equal.",
    "p after Holm": "The p value after Holm's correction over all comparisons of this report.",
    "Temperature": "Divisor of the log-probabilities of the types, fitted on validation patients, "
    "that calibrates confidence.",
}


def definition(heading: str) -> str:
    """The text of the term that a heading begins with; empty if there is none."""
    heading = heading.lower()
    terms = [term for term in GLOSSARY if _begins(heading, term.lower())]
    # Titles such as "Lesion Hausdorff distance" and "Dice of cyst" begin with a region or type.
    return GLOSSARY[max(terms, key=len)] if terms else ""


def _begins(heading: str, term: str) -> bool:
    for region in ("", "lesion ", "liver "):
        rest = heading.removeprefix(region)
        if rest.startswith(term) and not re.match(r"\w", rest[len(term) :]):
            return True
    return False

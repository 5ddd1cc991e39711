"""The paper's measures: Dice1, Dice2, Success and Accuracy, over the slices with a true lesion.

Source: Heker, Ben-Cohen, Greenspan, arXiv 1907.13409, section 3, which does not define the cases
without a detection, with an empty outline, or with a tie.
"""

from collections.abc import Sequence

from liver_tf.measures.measure_sums import RatioSums, column
from liver_tf.measures.slice_result import SliceResult


def paper_measures(results: Sequence[SliceResult]) -> dict[str, RatioSums]:
    """The paper's measures, and two that separate detection from classification.

    * ``success``: proportion of slices in which the prediction overlaps the true lesion.
    * ``dice1``: mean Dice (lesion against rest) over the slices with overlap.
    * ``dice2``: the same mean over all slices with a lesion; a missed lesion counts 0.
    * ``accuracy``: proportion of slices whose majority class is the true type; a slice without a
      detection counts as wrong.
    * ``accuracy_detected``: accuracy over the slices with a detection.
    * ``detected``: proportion of slices with a detection, inside or outside the true lesion.
    """
    lesion = column(r.has_lesion for r in results)
    detected = column(r.detected for r in results)
    overlap = column(r.overlap for r in results) * lesion
    correct = column(r.true_diagnosis == r.predicted_diagnosis for r in results) * lesion
    dice = column(r.dice or 0.0 for r in results) * lesion
    return {
        "dice1": RatioSums(dice * overlap, overlap),
        "dice2": RatioSums(dice, lesion),
        "success": RatioSums(overlap, lesion),
        "accuracy": RatioSums(correct, lesion),
        "accuracy_detected": RatioSums(correct * detected, lesion * detected),
        "detected": RatioSums(lesion * detected, lesion),
    }

"""Compare a predicted slice with the truth: ``compare_with_truth`` makes its ``SliceResult``."""

from collections.abc import Sequence

import numpy as np

from liver_tf.labels import HEALTHY, LIVER, LabelSet
from liver_tf.measures.lesion_matching import MatchedLesion, match_components
from liver_tf.measures.size_bins import equivalent_diameter_mm
from liver_tf.measures.slice_result import PixelCounts, SliceResult
from liver_tf.measures.surface_distances import surface_distances

_SCORE_DIGITS = 7


def compare_with_truth(
    truth: np.ndarray,
    predicted: np.ndarray,
    label_set: LabelSet,
    *,
    patient: str,
    case: str,
    slice_index: int,
    true_diagnosis: int | str | None = None,
    spacing_mm: tuple[float, float] | None = None,
    type_scores: Sequence[float] | np.ndarray | None = None,
    lesion_probability: np.ndarray | None = None,
) -> SliceResult:
    """Compare one predicted slice with the truth.

    Args:
      truth: uint8 [rows, columns], labels of ``label_set``.
      predicted: the same on the same grid.
      patient: pseudonym.
      case: pseudonym of the scan or examination.
      true_diagnosis: lesion label, its name, or ``"healthy"``; by default the majority class of the
        truth's lesion pixels, or healthy without any. A lesion diagnosis for a truth without lesion
        pixels (e.g. an outline too small for the grid) makes a slice whose lesion counts as missed.
      spacing_mm: (row, column); None if unknown, then there are no distances and sizes.
      type_scores: score of each lesion type over the predicted lesion pixels, in the order of
        ``label_set.lesions``; scaled here to sum to one. Ignored without a detection.
      lesion_probability: float [rows, columns], probability of any lesion type, for the scores of
        the lesions; None leaves them unknown.

    Returns:
      The result of the slice. In a tie, the majority class is the lower label.

    Raises:
      ValueError: the arrays are not 2-D integers of the same shape with labels of the set, the
        diagnosis is not in the set or contradicts the outline, or ``type_scores`` are not one
        finite, non-negative number per type.
    """
    joint = _joint_histogram(truth, predicted, label_set)
    in_truth, in_prediction, agreed = joint.sum(axis=1), joint.sum(axis=0), joint.diagonal()
    true_majority = _majority(in_truth)
    if true_diagnosis is not None:
        true_majority = _given_diagnosis(true_diagnosis, true_majority, label_set)
    predicted_majority = _majority(in_prediction)
    if spacing_mm is not None and not all(0 < step < np.inf for step in spacing_mm):
        spacing_mm = None
    true_lesion, found_lesion = truth > LIVER, predicted > LIVER
    true_numbers, found_numbers, of_true, of_found, matches = match_components(
        true_lesion, found_lesion
    )
    scores = _mean_probabilities(found_numbers, len(of_found), lesion_probability)
    of_matches = [scores[match - 1] if match else None for match in matches]
    true_lesions = _lesions(truth, true_numbers, of_true, of_matches, spacing_mm)
    if true_majority is not None and not true_lesions:
        true_lesions = (MatchedLesion(true_majority, 0, None, 0.0),)
    return SliceResult(
        patient=patient,
        case=case,
        slice_index=int(slice_index),
        true_diagnosis=true_majority,
        predicted_diagnosis=predicted_majority,
        lesion=_region_counts(joint, LIVER + 1),
        liver=_region_counts(joint, LIVER),
        classes={
            name: PixelCounts(int(in_truth[k]), int(in_prediction[k]), int(agreed[k]))
            for k, name in enumerate(label_set.classes)
        },
        spacing_mm=None if spacing_mm is None else (float(spacing_mm[0]), float(spacing_mm[1])),
        true_lesions=true_lesions,
        found_lesions=_lesions(predicted, found_numbers, of_found, scores, spacing_mm),
        lesion_surface=surface_distances(true_lesion, found_lesion, spacing_mm),
        liver_surface=surface_distances(truth >= LIVER, predicted >= LIVER, spacing_mm),
        type_scores=_scaled(type_scores, label_set) if predicted_majority is not None else None,
    )


def _lesions(
    labels: np.ndarray,
    numbers: np.ndarray,
    overlaps: np.ndarray,
    scores: Sequence[float | None],
    spacing_mm: tuple[float, float] | None,
) -> tuple[MatchedLesion, ...]:
    """The numbered lesions of a label map, each with the IoU of its match and its score."""
    lesions = []
    for number, (iou, score) in enumerate(zip(overlaps.tolist(), scores, strict=True), 1):
        inside = labels[numbers == number]
        majority = int(np.bincount(inside).argmax())
        diameter = equivalent_diameter_mm(len(inside), spacing_mm)
        lesions.append(MatchedLesion(majority, len(inside), diameter, iou, score))
    return tuple(lesions)


def _mean_probabilities(
    numbers: np.ndarray, count: int, probability: np.ndarray | None
) -> list[float | None]:
    """Mean probability over the pixels of each numbered lesion, None if unknown."""
    if probability is None:
        return [None] * count
    flat = numbers.ravel()
    sums = np.bincount(flat, probability.ravel(), count + 1)[1:]
    pixels = np.bincount(flat, minlength=count + 1)[1:]
    # Rounded to the resolution of single precision near 1, to keep the stored results short.
    return [round(mean, _SCORE_DIGITS) for mean in (sums / pixels).tolist()]


def _scaled(
    scores: Sequence[float] | np.ndarray | None, label_set: LabelSet
) -> tuple[float, ...] | None:
    if scores is None:
        return None
    given = np.asarray(scores, np.float64)
    if given.shape != (len(label_set.lesions),) or not (np.isfinite(given) & (given >= 0)).all():
        raise ValueError(
            f"expected a non-negative score for each of {', '.join(label_set.lesions)}; "
            f"found {np.asarray(scores).tolist()}"
        )
    total = given.sum()
    return tuple((given / total).tolist()) if total else (1.0 / len(given),) * len(given)


def _joint_histogram(truth: np.ndarray, predicted: np.ndarray, label_set: LabelSet) -> np.ndarray:
    """Pixels by true label (rows) and predicted label (columns), int64 [classes, classes]."""
    classes = len(label_set)
    for name, labels in (("truth", truth), ("predicted", predicted)):
        if labels.ndim != 2 or not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(
                f"expected {name} to be an integer array [rows, columns]; found {labels.dtype} "
                f"{labels.shape}. Pass the labels of one slice, not probabilities or a volume."
            )
        if labels.size and not 0 <= labels.min() <= labels.max() < classes:
            raise ValueError(
                f"expected labels 0 to {classes - 1} of label set {label_set.name!r} in {name}; "
                f"found {labels.min()} to {labels.max()}"
            )
    if truth.shape != predicted.shape:
        raise ValueError(
            f"expected truth and prediction on the same grid; found {truth.shape} and "
            f"{predicted.shape}. Map the prediction back to the truth's grid first."
        )
    pairs = truth.astype(np.int64).ravel() * classes + predicted.ravel()
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def _region_counts(joint: np.ndarray, first_label: int) -> PixelCounts:
    """Counts of the region of all labels from ``first_label`` on."""
    return PixelCounts(
        int(joint[first_label:].sum()),
        int(joint[:, first_label:].sum()),
        int(joint[first_label:, first_label:].sum()),
    )


def _majority(pixels: np.ndarray) -> int | None:
    """Lesion label with most pixels; in a tie argmax takes the lower label."""
    lesion_pixels = pixels[LIVER + 1 :]
    return int(lesion_pixels.argmax()) + LIVER + 1 if lesion_pixels.any() else None


def _given_diagnosis(diagnosis: int | str, outlined: int | None, label_set: LabelSet) -> int | None:
    if diagnosis == HEALTHY:
        if outlined is not None:
            raise ValueError(
                "expected no lesion pixels in the truth of a healthy slice; found pixels of class "
                f"{label_set.classes[outlined]!r}. Correct the diagnosis or the outline."
            )
        return None
    label = label_set.index(diagnosis) if isinstance(diagnosis, str) else int(diagnosis)
    if label not in label_set.lesion_labels:
        raise ValueError(
            f"expected a diagnosis among {', '.join(label_set.lesions)} or {HEALTHY!r}; "
            f"found {diagnosis!r}"
        )
    return label

"""The paper's four measures, and those of healthy slices, liver and single classes.

One image is one axial slice. ``measure_image`` boils a slice down to pixel counts and two
diagnoses; every measure is then a ratio of two sums over images, which is what lets
``liver_tf.evaluation.bootstrap`` resample patients without touching a pixel again.

Source: Heker, Ben-Cohen, Greenspan, arXiv 1907.13409. What the paper leaves open (slices without
a detection, empty outlines, ties) is decided here and written beside each rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from liver_tf.labels import BACKGROUND, HEALTHY, LIVER, LabelSet

#: The paper's measures, in the order of its table's columns.
PAPER_MEASURES = ("dice1", "dice2", "success", "accuracy")

#: What each measure is called in tables.
MEASURE_TITLES = {
    "dice1": "Dice1",
    "dice2": "Dice2",
    "success": "Success",
    "accuracy": "Accuracy",
    "accuracy_detected": "Accuracy among detected",
    "detected": "Share with any detection",
    "healthy_false_positive_rate": "Healthy slices with a lesion reported",
    "dice_liver": "Liver Dice, mean over slices",
    "pooled_dice_lesion": "Lesion Dice, pooled",
    "pooled_dice_class_liver": "Dice of liver outside lesions, pooled",
}


def measure_title(measure: str) -> str:
    """Human name of a measure; ``pooled_dice_class_cyst`` becomes ``Dice of cyst, pooled``."""
    if measure in MEASURE_TITLES:
        return MEASURE_TITLES[measure]
    return f"Dice of {measure.removeprefix('pooled_dice_class_')}, pooled"


@dataclass(frozen=True)
class PixelCounts:
    """Pixels of one region: in the truth, in the prediction, in both."""

    true: int
    predicted: int
    both: int

    @property
    def dice(self) -> float | None:
        """2 |A and B| / (|A| + |B|); None where the region is empty in truth and prediction."""
        total = self.true + self.predicted
        return 2.0 * self.both / total if total else None


@dataclass(frozen=True)
class ImageResult:
    """What was true and what was predicted in one axial slice.

    Attributes:
      patient: pseudonymous patient id; the unit of every resampling.
      case: pseudonymous id of the scan or examination.
      slice_index: position of the slice within the case.
      true_diagnosis: label of the true lesion type; None for a healthy slice.
      predicted_diagnosis: label with most predicted lesion pixels; None without a detection.
      lesion: counts of lesion (any type) against the rest.
      liver: counts of liver or lesion against background.
      classes: class name -> counts of exactly that label, in the order of the label set.
    """

    patient: str
    case: str
    slice_index: int
    true_diagnosis: int | None
    predicted_diagnosis: int | None
    lesion: PixelCounts
    liver: PixelCounts
    classes: dict[str, PixelCounts]

    @property
    def image(self) -> tuple[str, str, int]:
        """What identifies the slice: patient, case, slice index."""
        return (self.patient, self.case, self.slice_index)

    @property
    def has_lesion(self) -> bool:
        """Whether the slice truly holds a lesion."""
        return self.true_diagnosis is not None

    @property
    def detected(self) -> bool:
        """Whether any lesion pixel was predicted, in the right place or not."""
        return self.lesion.predicted > 0

    @property
    def overlap(self) -> bool:
        """Whether at least one predicted lesion pixel lies in the true lesion, of any type."""
        return self.lesion.both > 0

    @property
    def dice(self) -> float | None:
        """Dice of lesion against rest.

        A missed lesion and a false alarm in a healthy slice give 0.0. A healthy slice without a
        detection gives None: there is nothing to compare. A slice that is known to hold a lesion
        but whose outline has no pixel gives 0.0 whatever was predicted.
        """
        if self.has_lesion and self.lesion.true == 0:
            return 0.0
        return self.lesion.dice

    def to_json(self) -> dict:
        """Plain dictionary for ``json.dumps``; ``dice`` and ``overlap`` are added for readers."""
        return asdict(self) | {"dice": self.dice, "overlap": self.overlap}

    @classmethod
    def from_json(cls, values: dict) -> ImageResult:
        """Inverse of ``to_json``; ``dice`` and ``overlap`` follow from the counts.

        Raises:
          ValueError: a field is missing.
        """
        try:
            return cls(
                patient=values["patient"],
                case=values["case"],
                slice_index=values["slice_index"],
                true_diagnosis=values["true_diagnosis"],
                predicted_diagnosis=values["predicted_diagnosis"],
                lesion=PixelCounts(**values["lesion"]),
                liver=PixelCounts(**values["liver"]),
                classes={k: PixelCounts(**v) for k, v in values["classes"].items()},
            )
        except KeyError as error:
            raise ValueError(
                f"expected an image result with the field {error}; got {sorted(values)}"
            ) from None


def measure_image(
    truth: np.ndarray,
    predicted: np.ndarray,
    label_set: LabelSet,
    *,
    patient: str,
    case: str,
    slice_index: int,
    true_diagnosis: int | str | None = None,
) -> ImageResult:
    """Compares one predicted slice with the truth.

    Args:
      truth, predicted: uint8 [rows, columns], labels of ``label_set``, on the same grid.
      label_set: what the labels mean.
      patient, case, slice_index: where the slice comes from.
      true_diagnosis: lesion label, its name, or ``"healthy"``. By default the majority class of
        the truth's lesion pixels, healthy if there is none. A lesion label given for a truth
        without lesion pixels (an outline too small for the grid, say) makes a slice with a lesion
        that nothing can hit, so that it counts as missed instead of leaving the test set.

    Returns:
      The slice's ``ImageResult``. Both majorities break ties towards the lower label.

    Raises:
      ValueError: shapes differ or are not 2-D, dtype is not an integer, a label lies outside the
        set, or ``true_diagnosis`` is no lesion of the set or says healthy against the outline.
    """
    joint = _joint_histogram(truth, predicted, label_set)
    in_truth, in_prediction, agreed = joint.sum(axis=1), joint.sum(axis=0), joint.diagonal()
    true_majority = _majority(in_truth)
    if true_diagnosis is not None:
        true_majority = _given_diagnosis(true_diagnosis, true_majority, label_set)
    return ImageResult(
        patient=patient,
        case=case,
        slice_index=int(slice_index),
        true_diagnosis=true_majority,
        predicted_diagnosis=_majority(in_prediction),
        lesion=_region_counts(joint, LIVER + 1),
        liver=_region_counts(joint, LIVER),
        classes={
            name: PixelCounts(int(in_truth[k]), int(in_prediction[k]), int(agreed[k]))
            for k, name in enumerate(label_set.classes)
        },
    )


@dataclass(frozen=True)
class Terms:
    """A measure as the ratio of two sums: float64 [images] each."""

    numerator: np.ndarray
    denominator: np.ndarray

    def value(self) -> float | None:
        """The measure over all images; None where the denominator is zero."""
        below = self.denominator.sum()
        return float(self.numerator.sum() / below) if below else None


def measure_terms(results: Sequence[ImageResult]) -> dict[str, Terms]:
    """Every measure of ``summarise`` as a ratio of sums over images.

    Raises:
      ValueError: the results come from different label sets.
    """
    names = _class_names(results)
    lesion = _column(r.has_lesion for r in results)
    detected = _column(r.detected for r in results)
    overlap = _column(r.overlap for r in results) * lesion
    right = _column(r.true_diagnosis == r.predicted_diagnosis for r in results) * lesion
    dice = _column(r.dice or 0.0 for r in results) * lesion
    liver_defined = _column(r.liver.dice is not None for r in results)
    terms = {
        "dice1": Terms(dice * overlap, overlap),
        "dice2": Terms(dice, lesion),
        "success": Terms(overlap, lesion),
        "accuracy": Terms(right, lesion),
        "accuracy_detected": Terms(right * detected, lesion * detected),
        "detected": Terms(lesion * detected, lesion),
        "healthy_false_positive_rate": Terms((1 - lesion) * detected, 1 - lesion),
        "dice_liver": Terms(_column(r.liver.dice or 0.0 for r in results), liver_defined),
        "pooled_dice_lesion": _pooled([r.lesion for r in results]),
    }
    for name in names[BACKGROUND + 1 :]:
        terms[f"pooled_dice_class_{name}"] = _pooled([r.classes[name] for r in results])
    return terms


def summarise(results: Sequence[ImageResult]) -> dict[str, float | int | None]:
    """Counts and measures over a set of slices, safe to write as JSON (None, never NaN).

    The paper's measures run over the slices that truly hold a lesion:

    * ``success``: share in which the prediction overlaps the true lesion.
    * ``dice1``: mean Dice (lesion against rest) over those with overlap; None if there is none.
    * ``dice2``: the same mean over all of them, a miss counting 0.
    * ``accuracy``: share whose majority class is the true type; without a detection it is wrong.

    Beyond the paper: ``accuracy_detected`` (share right among slices with a lesion in which any
    lesion pixel was predicted), ``detected`` (share of slices with a lesion in which any was),
    ``healthy_false_positive_rate`` (share of healthy slices with a predicted lesion pixel),
    ``dice_liver`` (liver or lesion against background, mean over slices in which truth or
    prediction has any), ``pooled_dice_lesion`` and ``pooled_dice_class_NAME`` (pixel counts of all
    slices, healthy ones included, added up first; the class ``liver`` is liver outside lesions).

    A measure over no slices at all is None. ``images``, ``lesion_images``, ``healthy_images`` and
    ``patients`` are counts; a slice predicted several times (seeds) counts as often.
    """
    lesion_images = sum(r.has_lesion for r in results)
    counts = {
        "images": len(results),
        "lesion_images": lesion_images,
        "healthy_images": len(results) - lesion_images,
        "patients": len({r.patient for r in results}),
    }
    return counts | {name: terms.value() for name, terms in measure_terms(results).items()}


def _joint_histogram(truth: np.ndarray, predicted: np.ndarray, label_set: LabelSet) -> np.ndarray:
    """int64 [classes, classes]: pixels with true label in rows, predicted label in columns."""
    classes = len(label_set)
    for name, labels in (("truth", truth), ("predicted", predicted)):
        if labels.ndim != 2 or not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(
                f"expected {name} to be an integer array [rows, columns]; got {labels.dtype} "
                f"{labels.shape}. Pass one slice of labels, not probabilities or a volume."
            )
        if labels.size and not 0 <= labels.min() <= labels.max() < classes:
            raise ValueError(
                f"expected labels 0 to {classes - 1} of label set {label_set.name!r} in {name}; "
                f"got {labels.min()} to {labels.max()}"
            )
    if truth.shape != predicted.shape:
        raise ValueError(
            f"expected truth and prediction on the same grid; got {truth.shape} and "
            f"{predicted.shape}. Map the prediction back to the truth's grid first."
        )
    pairs = truth.astype(np.int64).ravel() * classes + predicted.ravel()
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def _region_counts(joint: np.ndarray, first_label: int) -> PixelCounts:
    """Counts of the region made of all labels from ``first_label`` on."""
    return PixelCounts(
        int(joint[first_label:].sum()),
        int(joint[:, first_label:].sum()),
        int(joint[first_label:, first_label:].sum()),
    )


def _majority(pixels: np.ndarray) -> int | None:
    """Lesion label with most pixels; argmax takes the first, thus the lower label, in a tie."""
    lesion_pixels = pixels[LIVER + 1 :]
    if lesion_pixels.sum() == 0:
        return None
    return int(lesion_pixels.argmax()) + LIVER + 1


def _given_diagnosis(diagnosis: int | str, outlined: int | None, label_set: LabelSet) -> int | None:
    if diagnosis == HEALTHY:
        if outlined is not None:
            raise ValueError(
                "expected no lesion pixels in the truth of a healthy slice; got some of class "
                f"{label_set.classes[outlined]!r}. Mend the diagnosis or the outline."
            )
        return None
    label = label_set.index(diagnosis) if isinstance(diagnosis, str) else int(diagnosis)
    if label not in label_set.lesion_labels:
        raise ValueError(
            f"expected a diagnosis among {', '.join(label_set.lesions)} or {HEALTHY!r}; "
            f"got {diagnosis!r}"
        )
    return label


def _class_names(results: Sequence[ImageResult]) -> tuple[str, ...]:
    kinds = {tuple(r.classes) for r in results}
    if len(kinds) > 1:
        raise ValueError(f"expected results of one label set; got {sorted(kinds)}")
    return kinds.pop() if kinds else ()


def _column(values) -> np.ndarray:
    return np.fromiter(values, dtype=np.float64)


def _pooled(counts: Sequence[PixelCounts]) -> Terms:
    return Terms(
        _column(2.0 * c.both for c in counts), _column(c.true + c.predicted for c in counts)
    )

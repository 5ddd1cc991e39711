"""The result of one slice: counts, distances and scores from which every measure is computed.

A ``SliceResult`` holds no pixels, so that runs can be pooled and measures added without running a
network again. Patients and cases are pseudonyms.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from liver_tf.measures.lesion_matching import MatchedLesion
from liver_tf.measures.size_bins import UNKNOWN, size_bin
from liver_tf.measures.surface_distances import SurfaceDistances


@dataclass(frozen=True)
class PixelCounts:
    """Pixels of a region in the truth, in the prediction, and in both."""

    true: int
    predicted: int
    both: int

    @property
    def dice(self) -> float | None:
        """2 |A and B| / (|A| + |B|); None if the region is empty in truth and prediction."""
        total = self.true + self.predicted
        return 2.0 * self.both / total if total else None


@dataclass(frozen=True)
class SliceResult:
    """Truth and prediction of one axial slice, in numbers.

    Attributes:
      patient: pseudonym; patients are the unit of resampling.
      case: pseudonym of the scan or examination.
      true_diagnosis: label of the true lesion type; None for a healthy slice.
      predicted_diagnosis: label with most predicted lesion pixels; None without a detection.
      lesion: pixel counts of lesion (any type) against the rest.
      liver: pixel counts of liver including lesions against background.
      classes: class name -> pixel counts of exactly that label, in the order of the label set.
      spacing_mm: (row, column); None if unknown, then there are no distances and no sizes.
      true_lesions: connected lesions of the truth; ``found_lesions``: of the prediction.
      lesion_surface: distances between the lesion outlines; None if undefined.
      type_scores: mean probability of each lesion type over the predicted lesion pixels, scaled to
        sum to one; None without a detection or if scores were not requested.
      temperature: that of the run (``calibration``); None if unknown.
      fold: with ``seed``, identifies the network that predicted the slice.
    """

    patient: str
    case: str
    slice_index: int
    true_diagnosis: int | None
    predicted_diagnosis: int | None
    lesion: PixelCounts
    liver: PixelCounts
    classes: dict[str, PixelCounts]
    spacing_mm: tuple[float, float] | None = None
    true_lesions: tuple[MatchedLesion, ...] = ()
    found_lesions: tuple[MatchedLesion, ...] = ()
    lesion_surface: SurfaceDistances | None = None
    liver_surface: SurfaceDistances | None = None
    type_scores: tuple[float, ...] | None = None
    temperature: float | None = None
    fold: str = ""
    seed: int = 0

    @property
    def image(self) -> tuple[str, str, int]:
        """Identity of the slice: patient, case, slice index."""
        return (self.patient, self.case, self.slice_index)

    @property
    def network(self) -> tuple[str, int]:
        """Identity of the network within a protocol: fold, seed."""
        return (self.fold, self.seed)

    @property
    def has_lesion(self) -> bool:
        """Whether the slice has a true lesion."""
        return self.true_diagnosis is not None

    @property
    def detected(self) -> bool:
        """Whether any lesion pixel was predicted, inside or outside the true lesion."""
        return self.lesion.predicted > 0

    @property
    def overlap(self) -> bool:
        """Whether a predicted lesion pixel of any type lies in the true lesion."""
        return self.lesion.both > 0

    @property
    def dice(self) -> float | None:
        """Dice of lesion against rest.

        0.0 for a missed lesion, for a false positive in a healthy slice, and for a lesion known by
        diagnosis whose outline has no pixel. None for a healthy slice without a detection.
        """
        if self.has_lesion and self.lesion.true == 0:
            return 0.0
        return self.lesion.dice

    @property
    def size(self) -> str:
        """Size bin of the largest true lesion (``size_bins``); unknown for a healthy slice."""
        known = [x.diameter_mm for x in self.true_lesions if x.diameter_mm is not None]
        return size_bin(max(known)) if known else UNKNOWN

    def to_json(self) -> dict[str, Any]:
        """Dictionary for ``json.dumps``; ``dice`` and ``overlap`` are added for readers."""
        return asdict(self) | {"dice": self.dice, "overlap": self.overlap}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "SliceResult":
        """Inverse of ``to_json``; ``dice`` and ``overlap`` are recomputed from the counts.

        Raises:
          ValueError: a field is missing.
        """
        try:
            return cls(
                **{field.name: values[field.name] for field in fields(cls)}
                | {
                    "lesion": PixelCounts(**values["lesion"]),
                    "liver": PixelCounts(**values["liver"]),
                    "classes": {k: PixelCounts(**v) for k, v in values["classes"].items()},
                    "spacing_mm": _tuple(values["spacing_mm"]),
                    "true_lesions": tuple(MatchedLesion(**v) for v in values["true_lesions"]),
                    "found_lesions": tuple(MatchedLesion(**v) for v in values["found_lesions"]),
                    "lesion_surface": _surface(values["lesion_surface"]),
                    "liver_surface": _surface(values["liver_surface"]),
                    "type_scores": _tuple(values["type_scores"]),
                }
            )
        except KeyError as error:
            raise ValueError(
                f"slice result without field {error}; fields found: {sorted(values)}"
            ) from None


def class_names(results: Sequence[SliceResult]) -> tuple[str, ...]:
    """The class names of the results' label set; empty without results.

    Raises:
      ValueError: the results come from different label sets.
    """
    label_sets = {tuple(r.classes) for r in results}
    if len(label_sets) > 1:
        raise ValueError(f"expected results of one label set; found {sorted(label_sets)}")
    return label_sets.pop() if label_sets else ()


def _tuple(values: list[Any] | None) -> tuple[Any, ...] | None:
    return None if values is None else tuple(values)


def _surface(values: dict[str, float] | None) -> SurfaceDistances | None:
    return None if values is None else SurfaceDistances(**values)

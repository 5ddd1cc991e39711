"""What one slice has shown: the row from which every measure is computed.

A row holds counts, distances and scores, never pixels, so that runs can be pooled and measures
added without asking a network again. Patients and cases are pseudonyms.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from liver_tf.measures.lesion_matching import MatchedLesion
from liver_tf.measures.size_bins import UNKNOWN, size_bin
from liver_tf.measures.surface_distances import SurfaceDistances


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
class SliceResult:
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
      spacing_mm: (row, column), None where unknown: then there are no distances and no sizes.
      true_lesions, found_lesions: connected lesions of truth and prediction.
      lesion_surface, liver_surface: distances between the outlines, None where there are none.
      type_scores: mean probability of each lesion type over the predicted lesion pixels, scaled to
        sum to one over the types; None without a detection, and where nobody asked for them.
      temperature: by which the run's scores are to be scaled (``calibration``), None if unknown.
      fold, seed: of the network that predicted the slice; together they name the network.
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
        """What identifies the slice: patient, case, slice index."""
        return (self.patient, self.case, self.slice_index)

    @property
    def network(self) -> tuple[str, int]:
        """What identifies the network of a protocol: fold, seed."""
        return (self.fold, self.seed)

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

    @property
    def size(self) -> str:
        """Bin of the slice's largest true lesion (``size_bins``); unknown for a healthy slice."""
        known = [one.diameter_mm for one in self.true_lesions if one.diameter_mm is not None]
        return size_bin(max(known)) if known else UNKNOWN

    def to_json(self) -> dict:
        """Plain dictionary for ``json.dumps``; ``dice`` and ``overlap`` are added for readers."""
        return asdict(self) | {"dice": self.dice, "overlap": self.overlap}

    @classmethod
    def from_json(cls, values: dict) -> SliceResult:
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
                spacing_mm=_tuple(values["spacing_mm"]),
                true_lesions=tuple(MatchedLesion(**v) for v in values["true_lesions"]),
                found_lesions=tuple(MatchedLesion(**v) for v in values["found_lesions"]),
                lesion_surface=_surface(values["lesion_surface"]),
                liver_surface=_surface(values["liver_surface"]),
                type_scores=_tuple(values["type_scores"]),
                temperature=values["temperature"],
                fold=values["fold"],
                seed=values["seed"],
            )
        except KeyError as error:
            raise ValueError(
                f"expected an image result with the field {error}; got {sorted(values)}"
            ) from None


def _tuple(values: list | None) -> tuple | None:
    return None if values is None else tuple(values)


def _surface(values: dict | None) -> SurfaceDistances | None:
    return None if values is None else SurfaceDistances(**values)

"""What a data set is made of, before anything is converted: facts by case, and their sum.

Facts are gathered case by case, so that processes can share the work, and hold numbers only: no
identifier and no name of a file, but for the paths inside of refusals.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from data_prep.cases import CaseTask, LabelledSlice, ReadCase, slices_of
from liver_tf.labels import LIVER, LabelSet
from liver_tf.refusals import Caution, Refusal

_EIGHT_NEIGHBOURS = np.ones((3, 3), bool)


@dataclass(frozen=True)
class Moments:
    """Count, sum and sum of squares of HU values, from which mean and SD follow."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0

    @classmethod
    def of(cls, values: np.ndarray) -> Moments:
        values = values.astype(np.float64)
        return cls(int(values.size), float(values.sum()), float(np.square(values).sum()))

    def __add__(self, other: Moments) -> Moments:
        return Moments(
            self.count + other.count, self.total + other.total, self.squares + other.squares
        )

    @property
    def mean(self) -> float:
        """Mean in HU; NaN of no values."""
        return self.total / self.count if self.count else math.nan

    @property
    def sd(self) -> float:
        """Standard deviation (of a population) in HU; NaN of no values."""
        if not self.count:
            return math.nan
        return max(self.squares / self.count - self.mean**2, 0.0) ** 0.5


@dataclass
class Facts:
    """Facts of one case, or of several together.

    Attributes:
      cases: that could be read, at least in part.
      patients: pseudonyms.
      slices, with_liver, with_lesion: counts of slices; a lesion counts as liver too.
      diagnosis_slices: slices by diagnosis. diagnosis_patients: pseudonyms by diagnosis. Of scans
        without a table, ``lesion`` or ``no lesion`` by what their labels hold.
      matrices: slices by (rows, columns). orientations, manufacturers: cases by name.
      pixel_mm: (row, column) spacing by slices; None where unknown. slice_mm: distance likewise.
      class_pixels: by label.
      hu: by label from liver on, before any window.
      diameters_mm: by lesion label, of each connected part of a slice, that of a circle of its
        area; parts of slices without spacing are left out and counted in ``unmeasured``.
      cautions, refusals: in the order in which they came up.
    """

    cases: int = 0
    patients: set[str] = field(default_factory=set)
    slices: int = 0
    with_liver: int = 0
    with_lesion: int = 0
    diagnosis_slices: Counter[str] = field(default_factory=Counter)
    diagnosis_patients: dict[str, set[str]] = field(default_factory=dict)
    matrices: Counter[tuple[int, int]] = field(default_factory=Counter)
    orientations: Counter[str] = field(default_factory=Counter)
    manufacturers: Counter[str] = field(default_factory=Counter)
    pixel_mm: Counter[tuple[float, float] | None] = field(default_factory=Counter)
    slice_mm: Counter[float | None] = field(default_factory=Counter)
    class_pixels: Counter[int] = field(default_factory=Counter)
    hu: dict[int, Moments] = field(default_factory=dict)
    diameters_mm: dict[int, list[float]] = field(default_factory=dict)
    unmeasured: int = 0
    cautions: list[Caution] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    def __iadd__(self, other: Facts) -> Facts:
        for name in ("cases", "slices", "with_liver", "with_lesion", "unmeasured"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in (
            "diagnosis_slices",
            "matrices",
            "orientations",
            "manufacturers",
            "pixel_mm",
            "slice_mm",
            "class_pixels",
        ):
            getattr(self, name).update(getattr(other, name))
        self.patients |= other.patients
        for name, patients in other.diagnosis_patients.items():
            self.diagnosis_patients.setdefault(name, set()).update(patients)
        for label, moments in other.hu.items():
            self.hu[label] = self.hu.get(label, Moments()) + moments
        for label, diameters in other.diameters_mm.items():
            self.diameters_mm.setdefault(label, []).extend(diameters)
        self.cautions += other.cautions
        self.refusals += other.refusals
        return self


def facts_of_case(task: CaseTask) -> Facts:
    """Read a case and gather its facts; what is refused stands in ``refusals``.

    A scan that is refused midway leaves nothing but its refusal.
    """
    facts, found = Facts(), ReadCase()
    try:
        for one in slices_of(task, found):
            _add_slice(facts, one, task)
    except Refusal as refusal:
        return Facts(cautions=found.cautions, refusals=[*found.refusals, refusal])
    if facts.slices:
        facts.cases = 1
        facts.patients = {task.patient}
        facts.orientations[found.details.get("orientation", "unknown")] += 1
        facts.manufacturers[found.details.get("manufacturer", "not in the file")] += 1
    facts.cautions, facts.refusals = found.cautions, found.refusals
    return facts


def sum_of(parts: Iterable[Facts], early_refusals: Iterable[Refusal] = ()) -> Facts:
    """Facts of the whole data set; ``early_refusals`` are of what did not make up a case."""
    total = Facts(refusals=list(early_refusals))
    for part in parts:
        total += part
    return total


def lesion_diameters_mm(
    labels: np.ndarray, label: int, spacing_mm: tuple[float, float]
) -> list[float]:
    """Equivalent diameter of each 8-connected part of a class in a slice.

    Args:
      labels: uint8 [rows, columns].
      label: the class.
      spacing_mm: (row, column).

    Returns:
      2 sqrt(area / pi) of each part in mm; empty where the class does not occur.
    """
    parts, count = ndimage.label(labels == label, _EIGHT_NEIGHBOURS)
    areas_mm2 = np.bincount(parts.reshape(-1))[1 : count + 1] * spacing_mm[0] * spacing_mm[1]
    return (2.0 * np.sqrt(areas_mm2 / np.pi)).tolist()


def _add_slice(facts: Facts, one: LabelledSlice, task: CaseTask) -> None:
    label_set = task.label_set
    pixels = np.bincount(one.labels.reshape(-1), minlength=len(label_set))
    has_lesion = bool(pixels[list(label_set.lesion_labels)].any())
    facts.slices += 1
    facts.with_liver += bool(pixels[LIVER:].any())
    facts.with_lesion += has_lesion
    diagnosis = one.diagnosis or ("lesion" if has_lesion else "no lesion")
    facts.diagnosis_slices[diagnosis] += 1
    facts.diagnosis_patients.setdefault(diagnosis, set()).add(task.patient)
    facts.matrices[one.hu.shape] += 1
    facts.pixel_mm[one.spacing_mm] += 1
    facts.slice_mm[one.slice_distance_mm] += 1
    facts.class_pixels.update(dict(enumerate(pixels.tolist())))
    for label in range(LIVER, len(label_set)):
        if pixels[label]:
            moments = Moments.of(one.hu[one.labels == label])
            facts.hu[label] = facts.hu.get(label, Moments()) + moments
    _add_lesions(facts, one, label_set, pixels)


def _add_lesions(facts: Facts, one: LabelledSlice, label_set: LabelSet, pixels: np.ndarray) -> None:
    for label in label_set.lesion_labels:
        if not pixels[label]:
            continue
        known = one.spacing_mm is not None
        diameters = lesion_diameters_mm(one.labels, label, one.spacing_mm if known else (1.0, 1.0))
        if known:
            facts.diameters_mm.setdefault(label, []).extend(diameters)
        else:
            facts.unmeasured += len(diameters)

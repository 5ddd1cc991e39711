"""What a data set is made of, before anything is converted: facts by case, and their sum.

Facts are gathered case by case, so that processes can share the work, and hold numbers only: no
identifier and no name of a file, but for the paths inside of refusals.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import ndimage

from liver_tf.conversion.case_reader import read_slices
from liver_tf.conversion.cases import CaseNotes, CaseTask, LabelledSlice
from liver_tf.inspection.hu_statistics import Histogram, Moments
from liver_tf.inspection.lesion_count import LesionCount
from liver_tf.inspection.mask_checks import MaskFit
from liver_tf.labels import LIVER, LabelSet
from liver_tf.refusals import Caution, Refusal

#: Settings of a scanner that are counted by case, as ``liver_tf/ct/scanner_details.py`` names them.
SETTINGS = ("kvp", "slice_thickness_mm", "kernel", "contrast")

_EIGHT_NEIGHBOURS = np.ones((3, 3), bool)


@dataclass(frozen=True)
class CaseRow:
    """One case in a line; nothing in it tells who the patient is.

    Attributes:
      case: pseudonym.
      slices: that were read; 0 of a case that is refused.
      diagnoses: that occur, sorted.
      pixel_mm: (row, column) spacing of its first slice, slice_mm: distance likewise; or None.
      liver_ml: volume of liver with lesions, of scans whose spacing is known; else None.
      lesions: in 3-D for scans; for single slices the parts of all slices.
      liver_hu: before any window, without lesions.
      right_share: of the liver, on the patient's right half of the body; None without a liver.
      cautions, refusals: codes with their counts.
    """

    case: str
    slices: int = 0
    diagnoses: tuple[str, ...] = ()
    pixel_mm: tuple[float, float] | None = None
    slice_mm: float | None = None
    liver_ml: float | None = None
    lesions: int = 0
    liver_hu: Moments = field(default_factory=Moments)
    right_share: float | None = None
    cautions: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)


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
      scanners: cases by manufacturer with model. settings: by setting (``kernel``, ...), cases by
        value; of a patient's slices the first one counts.
      pixel_mm: (row, column) spacing by slices; None where unknown. slice_mm: distance likewise.
      class_pixels: by label.
      hu: by label from liver on, before any window. hu_histograms: likewise.
      diameters_mm: by lesion label, of each connected part of a slice, that of a circle of its
        area; parts of slices without spacing are left out and counted in ``unmeasured``.
      cautions, refusals: in the order in which they came up.
      rows: of each case, in the order of the cases; refused ones too.
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
    scanners: Counter[str] = field(default_factory=Counter)
    settings: dict[str, Counter[str]] = field(default_factory=dict)
    pixel_mm: Counter[tuple[float, float] | None] = field(default_factory=Counter)
    slice_mm: Counter[float | None] = field(default_factory=Counter)
    class_pixels: Counter[int] = field(default_factory=Counter)
    hu: dict[int, Moments] = field(default_factory=dict)
    hu_histograms: dict[int, Histogram] = field(default_factory=dict)
    diameters_mm: dict[int, list[float]] = field(default_factory=dict)
    unmeasured: int = 0
    cautions: list[Caution] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    rows: list[CaseRow] = field(default_factory=list)

    def __iadd__(self, other: Facts) -> Facts:
        for name in ("cases", "slices", "with_liver", "with_lesion", "unmeasured"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in (
            "diagnosis_slices",
            "matrices",
            "orientations",
            "manufacturers",
            "scanners",
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
        for label, histogram in other.hu_histograms.items():
            self.hu_histograms[label] = self.hu_histograms.get(label, Histogram()) + histogram
        for name, values in other.settings.items():
            self.settings.setdefault(name, Counter()).update(values)
        for label, diameters in other.diameters_mm.items():
            self.diameters_mm.setdefault(label, []).extend(diameters)
        self.cautions += other.cautions
        self.refusals += other.refusals
        self.rows += other.rows
        return self


def facts_of_case(task: CaseTask, watch: Callable[[LabelledSlice], None] | None = None) -> Facts:
    """Read a case and gather its facts; what is refused stands in ``refusals``.

    A scan that is refused midway leaves nothing but its refusal.

    Args:
      task: the case.
      watch: is handed each slice as it goes by.
    """
    facts, found, fit, misfits = Facts(), CaseNotes(), MaskFit(), []
    is_scan = not task.rows
    lesions, liver_mm3, first = LesionCount(stacked=is_scan), 0.0, None
    try:
        for one in read_slices(task, found):
            first = first or one
            _add_slice(facts, one, task)
            fit.add(one.hu, one.labels)
            if not is_scan:  # each slice has a mask of its own
                misfits += MaskFit.of(one.hu, one.labels).cautions()
            lesions.add(one.index, one.labels, task.label_set.lesion_labels)
            liver_mm3 += _liver_mm3(one)
            if watch is not None:
                watch(one)
    except Refusal as refusal:
        facts = Facts(cautions=found.cautions, refusals=[*found.refusals, refusal])
        facts.rows = [
            CaseRow(task.case, cautions=_codes(facts.cautions), refusals=_codes(facts.refusals))
        ]
        return facts
    misfits = fit.cautions() if is_scan else misfits
    facts.cautions, facts.refusals = [*found.cautions, *misfits], found.refusals
    row = CaseRow(task.case, cautions=_codes(facts.cautions), refusals=_codes(facts.refusals))
    if first is not None:
        _add_details(facts, found.details)
        facts.cases = 1
        facts.patients = {task.patient}
        row = replace(
            row,
            slices=facts.slices,
            diagnoses=tuple(sorted(facts.diagnosis_slices)),
            pixel_mm=first.spacing_mm,
            slice_mm=first.slice_distance_mm,
            liver_ml=liver_mm3 / 1000 if is_scan and math.isfinite(liver_mm3) else None,
            lesions=lesions.lesions,
            liver_hu=facts.hu.get(LIVER, Moments()),
            right_share=fit.right_share,
        )
    facts.rows = [row]
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


def _codes(told: Iterable[Caution | Refusal]) -> Counter[str]:
    return Counter(one.code for one in told)


def _liver_mm3(one: LabelledSlice) -> float:
    """Volume of liver with lesions in a slice; NaN where lengths are unknown."""
    if one.spacing_mm is None or one.slice_distance_mm is None:
        return math.nan
    pixels = int(np.count_nonzero(one.labels >= LIVER))
    return pixels * one.spacing_mm[0] * one.spacing_mm[1] * one.slice_distance_mm


def _add_details(facts: Facts, details: dict[str, str]) -> None:
    maker = details.get("manufacturer", "not in the file")
    facts.orientations[details.get("orientation", "unknown")] += 1
    facts.manufacturers[maker] += 1
    model = details.get("model", "")
    facts.scanners[f"{maker} {model}" if model not in ("", maker) else maker] += 1
    for name in SETTINGS:
        if name in details:
            facts.settings[name] = Counter([details[name]])


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
            values = one.hu[one.labels == label]
            facts.hu[label] = facts.hu.get(label, Moments()) + Moments.of(values)
            counted = facts.hu_histograms.get(label, Histogram())
            facts.hu_histograms[label] = counted + Histogram.of(values)
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

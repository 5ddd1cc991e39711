"""The fingerprint of a data set: facts of each case and their sum.

Facts contain no identifiers and no file names, except for the paths of refusals.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from scipy import ndimage

from liver_tf.conversion.case_reader import read_slices
from liver_tf.conversion.cases import CaseNotes, CaseTask, LabelledSlice
from liver_tf.inspection.hu_statistics import Histogram, Moments
from liver_tf.inspection.lesion_count import EIGHT_NEIGHBOURS, LesionCount
from liver_tf.inspection.mask_checks import MaskFit
from liver_tf.labels import LIVER
from liver_tf.refusals import Caution, Refusal

#: Scanner settings counted by case; names as in ``liver_tf/ct/scanner_details.py``.
SETTINGS = ("kvp", "slice_thickness_mm", "kernel", "contrast")


@dataclass(frozen=True)
class CaseRow:
    """One case in one row, without anything that identifies the patient.

    Attributes:
      slices: number of slices read; 0 for a refused case.
      pixel_mm: (row, column) spacing of the first slice, or None.
      slice_mm: slice distance of the first slice, or None.
      liver_ml: volume of liver with lesions of a scan with known spacing, else None.
      lesions: 3-D lesions of a scan; 2-D lesions of single slices.
      liver_hu: HU before windowing, without lesions.
      right_share: share of the liver in the right half of the body; None without a liver.
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
    """Facts of one case or of several.

    Attributes:
      cases: number of cases read, at least in part.
      patients: pseudonyms.
      slices, with_liver, with_lesion: numbers of slices; a lesion counts as liver too.
      diagnosis_slices: slices by diagnosis; without a CSV ``lesion`` or ``no lesion``.
      diagnosis_patients: pseudonyms by diagnosis.
      matrices: slices by (rows, columns).
      orientations, manufacturers, scanners, settings: cases by value; settings by their name.
      pixel_mm: slices by (row, column) spacing; None if unknown.
      slice_mm: slices by slice distance; None if unknown.
      hu, hu_histograms: HU before windowing, by label from liver on.
      diameters_mm: equivalent diameters of 2-D lesions by label.
      unmeasured: 2-D lesions in slices without spacing.
      rows: one per case, including refused ones.
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

    def __iadd__(self, other: "Facts") -> "Facts":
        for name in (item.name for item in fields(self)):
            mine, added = getattr(self, name), getattr(other, name)
            if isinstance(mine, int):
                setattr(self, name, mine + added)
            elif isinstance(mine, list):
                mine += added
            elif isinstance(mine, (Counter, set)):
                mine.update(added)
            else:
                for key, value in added.items():
                    mine[key] = _merged(mine[key], value) if key in mine else value
        return self


def facts_of_case(task: CaseTask, watch: Callable[[LabelledSlice], None] | None = None) -> Facts:
    """Read a case and gather its facts; a scan that is refused midway leaves only its refusal.

    ``watch`` is called with each slice.
    """
    facts, notes, fit, misfits = Facts(), CaseNotes(), MaskFit(), []
    is_scan = not task.rows
    lesions, liver_mm3, first = LesionCount(stacked=is_scan), 0.0, None
    problem: list[Refusal] = []
    try:
        for labelled in read_slices(task, notes):
            first = first or labelled
            _add_slice(facts, labelled, task)
            fit.add(labelled.hu, labelled.labels)
            if not is_scan:  # each slice has its own mask
                misfits += MaskFit.of(labelled.hu, labelled.labels).cautions()
            lesions.add(labelled.index, labelled.labels, task.label_set.lesion_labels)
            liver_mm3 += _liver_mm3(labelled)
            if watch is not None:
                watch(labelled)
    except Refusal as refusal:
        facts, first, problem = Facts(), None, [refusal]
    else:
        misfits = fit.cautions() if is_scan else misfits
    facts.cautions, facts.refusals = [*notes.cautions, *misfits], [*notes.refusals, *problem]
    row = CaseRow(task.case, cautions=_codes(facts.cautions), refusals=_codes(facts.refusals))
    if first is not None:
        _add_details(facts, notes.details)
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


def _merged(mine: Any, added: Any) -> Any:
    return mine | added if isinstance(mine, set) else mine + added


def sum_of(parts: Iterable[Facts], early_refusals: Iterable[Refusal] = ()) -> Facts:
    """Facts of the data set; ``early_refusals`` concern files that did not form a case."""
    total = Facts(refusals=list(early_refusals))
    for part in parts:
        total += part
    return total


def lesion_diameters_mm(
    labels: np.ndarray, label: int, spacing_mm: tuple[float, float]
) -> list[float]:
    """Equivalent diameters in mm, 2 sqrt(area / pi), of the 8-connected lesions of a class.

    ``labels`` are uint8 [rows, columns]; ``spacing_mm`` is (row, column).
    """
    parts, count = ndimage.label(labels == label, EIGHT_NEIGHBOURS)
    areas_mm2 = np.bincount(parts.reshape(-1))[1 : count + 1] * spacing_mm[0] * spacing_mm[1]
    return (2.0 * np.sqrt(areas_mm2 / np.pi)).tolist()


def _codes(items: Iterable[Caution | Refusal]) -> Counter[str]:
    return Counter(item.code for item in items)


def _liver_mm3(labelled: LabelledSlice) -> float:
    """Volume of liver with lesions in a slice; NaN if the spacing is unknown."""
    if labelled.spacing_mm is None or labelled.slice_distance_mm is None:
        return math.nan
    pixels = int(np.count_nonzero(labelled.labels >= LIVER))
    return pixels * labelled.spacing_mm[0] * labelled.spacing_mm[1] * labelled.slice_distance_mm


def _add_details(facts: Facts, details: dict[str, str]) -> None:
    maker = details.get("manufacturer", "not in the header")
    facts.orientations[details.get("orientation", "unknown")] += 1
    facts.manufacturers[maker] += 1
    model = details.get("model", "")
    facts.scanners[f"{maker} {model}" if model not in ("", maker) else maker] += 1
    for name in SETTINGS:
        if name in details:
            facts.settings[name] = Counter([details[name]])


def _add_slice(facts: Facts, labelled: LabelledSlice, task: CaseTask) -> None:
    label_set = task.label_set
    pixels = np.bincount(labelled.labels.reshape(-1), minlength=len(label_set))
    has_lesion = bool(pixels[list(label_set.lesion_labels)].any())
    facts.slices += 1
    facts.with_liver += bool(pixels[LIVER:].any())
    facts.with_lesion += has_lesion
    diagnosis = labelled.diagnosis or ("lesion" if has_lesion else "no lesion")
    facts.diagnosis_slices[diagnosis] += 1
    facts.diagnosis_patients.setdefault(diagnosis, set()).add(task.patient)
    facts.matrices[labelled.hu.shape] += 1
    facts.pixel_mm[labelled.spacing_mm] += 1
    facts.slice_mm[labelled.slice_distance_mm] += 1
    facts.class_pixels.update(dict(enumerate(pixels.tolist())))
    for label in range(LIVER, len(label_set)):
        if not pixels[label]:
            continue
        values = labelled.hu[labelled.labels == label]
        facts.hu[label] = facts.hu.get(label, Moments()) + Moments.of(values)
        counted = facts.hu_histograms.get(label, Histogram())
        facts.hu_histograms[label] = counted + Histogram.of(values)
        if label in label_set.lesion_labels:
            spacing = labelled.spacing_mm
            diameters = lesion_diameters_mm(labelled.labels, label, spacing or (1.0, 1.0))
            if spacing is None:
                facts.unmeasured += len(diameters)
            else:
                facts.diameters_mm.setdefault(label, []).extend(diameters)

"""From files to cases: what the converter and the verifier both read.

A case is a scan (LiTS), or all slices of one patient (slices). It is the unit of work: read,
refused or converted by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from liver_tf.ct.mask_image import read_mask

from liver_tf.ct.dicom_slice import read_dicom_slice
from liver_tf.ct.lits import find_lits_cases, source_group
from liver_tf.ct.nifti import read_nifti_labels, read_nifti_volume
from liver_tf.ct.pseudonyms import pseudonym
from liver_tf.ct.scan import Scan
from liver_tf.ct.slices_csv import SliceRow, read_slices_csv
from liver_tf.labels import HEALTHY, LITS, LabelSet
from liver_tf.refusals import Caution, Refusal


@dataclass(frozen=True)
class CaseTask:
    """A case that waits to be read. Small, and the same in every process.

    Attributes:
      case, patient, group: pseudonyms (``group`` may be the name of a public source).
      volume, segmentation: of a LiTS pair, else None. rows: of a patient's slices, else empty.
      mask_values: meaning of a mask's values: class names, ``lesion`` for the row's diagnosis.
    """

    case: str
    patient: str
    group: str
    label_set: LabelSet
    volume: Path | None = None
    segmentation: Path | None = None
    rows: tuple[SliceRow, ...] = ()
    mask_values: tuple[tuple[int, str], ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that the case is read from."""
        if self.volume is not None:
            return self.volume, self.segmentation
        return tuple(
            path for row in self.rows for path in (row.image, row.mask) if path is not None
        )


@dataclass
class ReadCase:
    """What reading a case brings up besides its slices; filled while it is read."""

    cautions: list[Caution] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    details: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LabelledSlice:
    """One axial slice before windowing: HU and labels [rows, columns], spacing (row, column)."""

    index: int
    hu: np.ndarray
    labels: np.ndarray
    spacing_mm: tuple[float, float] | None
    diagnosis: str


def find_lits(folder: Path, key: bytes) -> tuple[list[CaseTask], list[Refusal]]:
    """All volume / segmentation pairs below a folder, and what is missing or double."""
    pairs, refusals = find_lits_cases(folder)
    tasks = []
    for pair in pairs:
        name = f"lits-{pair.number}"
        patient = pseudonym(key, "patient", name)
        group = source_group(pair.number)
        tasks.append(
            CaseTask(
                case=pseudonym(key, "case", name),
                patient=patient,
                group=group if group == "3D-IRCADb" else patient,
                label_set=LITS,
                volume=pair.volume,
                segmentation=pair.segmentation,
            )
        )
    return tasks, refusals


def find_slices(
    table: Path,
    key: bytes,
    label_set: LabelSet,
    mask_values: tuple[tuple[int, str], ...],
    *,
    allow_outside: bool = False,
) -> tuple[list[CaseTask], list[Refusal]]:
    """The patients of a slices CSV, and the lines that are refused."""
    rows, refusals = read_slices_csv(
        table, diagnoses=(*label_set.lesions, HEALTHY), allow_outside=allow_outside
    )
    by_patient: dict[str, list[SliceRow]] = {}
    for row in rows:
        by_patient.setdefault(row.patient_id, []).append(row)
    tasks = []
    for identifier, members in by_patient.items():
        patient = pseudonym(key, "patient", identifier)
        tasks.append(
            CaseTask(
                case=pseudonym(key, "case", identifier),
                patient=patient,
                group=patient,
                label_set=label_set,
                rows=tuple(members),
                mask_values=mask_values,
            )
        )
    return tasks, refusals


def slices_of(task: CaseTask, found: ReadCase) -> Iterator[LabelledSlice]:
    """Read a case slice by slice, feet to head.

    A LiTS pair that is refused raises its ``Refusal``; of a patient's slices the bad ones are
    listed in ``found.refusals`` and the others go on.
    """
    if task.volume is not None:
        yield from _of_volume(task, found)
        return
    for index, row in enumerate(task.rows):
        try:
            yield _of_row(task, row, index, found)
        except Refusal as refusal:
            found.refusals.append(refusal)


def _of_volume(task: CaseTask, found: ReadCase) -> Iterator[LabelledSlice]:
    scan = read_nifti_volume(task.volume)
    labels, cautions = read_nifti_labels(
        task.segmentation, scan, allowed=tuple(range(len(task.label_set)))
    )
    found.cautions += [*scan.cautions, *cautions]
    found.details.update(scan.details)
    found.details["spacing_mm"] = "x".join(f"{step:.3f}" for step in scan.spacing_mm)
    for index in range(len(scan.hu)):
        yield LabelledSlice(index, scan.hu[index], labels[index], _in_plane(scan), "")


def _of_row(task: CaseTask, row: SliceRow, index: int, found: ReadCase) -> LabelledSlice:
    scan = read_dicom_slice(row.image)
    if row.mask is None:
        raise Refusal(
            "mask-missing",
            row.image,
            expected=f"a mask in line {row.line}",
            came="an empty cell",
            remedy="Outline the liver of healthy slices too, or leave the line out.",
        )
    labels = read_mask(row.mask, scan, _mapping(task, row))
    if labels.ndim == 3:
        labels = labels[0]
    _check_diagnosis(task, row, labels)
    found.cautions += scan.cautions
    for name, value in scan.details.items():
        found.details.setdefault(name, value)
    return LabelledSlice(index, scan.hu[0], labels, _in_plane(scan), row.diagnosis)


def _in_plane(scan: Scan) -> tuple[float, float] | None:
    return None if scan.spacing_mm is None else tuple(scan.spacing_mm[1:])


def _mapping(task: CaseTask, row: SliceRow) -> dict[int, int]:
    mapping = {}
    for value, meaning in task.mask_values:
        if meaning == "lesion":
            if row.diagnosis == HEALTHY:
                continue
            meaning = row.diagnosis
        mapping[value] = task.label_set.index(meaning)
    return mapping


def _check_diagnosis(task: CaseTask, row: SliceRow, labels: np.ndarray) -> None:
    has_lesion = bool((labels >= 2).any())
    if has_lesion == (row.diagnosis != HEALTHY):
        return
    raise Refusal(
        "diagnosis-against-mask",
        row.mask,
        expected=f"a mask that agrees with the diagnosis {row.diagnosis!r} in line {row.line}",
        came="lesion pixels" if has_lesion else "no lesion pixel",
        remedy="Mend the diagnosis or the mask, or check --mask_values.",
    )

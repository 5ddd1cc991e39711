"""From files to cases: what the converter and the verifier both read.

A case is a scan (LiTS, DICOM series), or all slices of one patient (slices). It is the unit of
work: read, refused or converted by itself.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from liver_tf.conversion.segments import Segments
from liver_tf.conversion.table_patients import refuse_patients_with_two_names
from liver_tf.ct.check import UnderMask, hu_by_label, mask_cautions
from liver_tf.ct.dicom_folder import SeriesFiles
from liver_tf.ct.dicom_pair import SeriesPair
from liver_tf.ct.dicom_slice import read_dicom_slice
from liver_tf.ct.lits import find_lits_cases, source_group
from liver_tf.ct.mask_image import read_mask
from liver_tf.ct.nifti_pair import NiftiPair, open_nifti_pair
from liver_tf.ct.pseudonyms import pseudonym
from liver_tf.ct.scan import Scan, SourceGrid
from liver_tf.ct.slices_csv import SliceRow, read_slices_csv
from liver_tf.labels import HEALTHY, LITS, LIVER, LabelSet
from liver_tf.refusals import Caution, Refusal


@dataclass(frozen=True)
class CaseTask:
    """A case that waits to be read. Small, and the same in every process.

    Attributes:
      case, patient, group: pseudonyms (``group`` may be the name of a public source).
      volume, segmentation: of a LiTS pair, else None. rows: of a patient's slices, else empty.
      mask_values: meaning of a mask's values (of a DICOM SEG: its segment numbers): class names,
        ``lesion`` for the row's diagnosis.
      series: of a DICOM series with its DICOM SEG, else None. segments: what their segments mean.
      sources: pseudonym of the names of all files and of what their segments mean, so that a case
        can tell that it is made of others now.
    """

    case: str
    patient: str
    group: str
    label_set: LabelSet
    volume: Path | None = None
    segmentation: Path | None = None
    rows: tuple[SliceRow, ...] = ()
    mask_values: tuple[tuple[int, str], ...] = ()
    series: SeriesFiles | None = None
    segments: Segments = ()
    sources: str = ""

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that the case is read from."""
        if self.volume is not None:
            return self.volume, self.segmentation
        if self.series is not None:
            return (*self.series.slices, *self.series.segmentations)
        return tuple(
            path for row in self.rows for path in (row.image, row.mask) if path is not None
        )

    @property
    def places(self) -> tuple[Path, ...]:
        """All that a refusal of the case may name: its files, and the folder of a series."""
        return self.files if self.series is None else (*self.files, self.series.place)


@dataclass
class ReadCase:
    """What reading a case brings up besides its slices; filled while it is read."""

    cautions: list[Caution] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    details: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LabelledSlice:
    """One axial slice before windowing.

    Attributes:
      index: place in the case.
      hu: int16 or float32 [rows, columns].
      labels: uint8 [rows, columns].
      spacing_mm: (row, column) spacing, or None.
      diagnosis: of the table, or empty.
      slice_distance_mm: to the next slice, or None.
    """

    index: int
    hu: np.ndarray
    labels: np.ndarray
    spacing_mm: tuple[float, float] | None
    diagnosis: str
    slice_distance_mm: float | None = None

    @functools.cached_property
    def hu_by_label(self) -> dict[int, np.ndarray]:
        """HU of the pixels of every label above 0."""
        return hu_by_label(self.hu, self.labels)


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
                sources=sources_of(key, folder, (pair.volume, pair.segmentation)),
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
    ignore_patient_id: bool = False,
) -> tuple[list[CaseTask], list[Refusal]]:
    """The patients of a slices CSV, and the lines that are refused.

    Args:
      ignore_patient_id: whether the table alone says who is one patient.
    """
    rows, refusals = read_slices_csv(
        table, diagnoses=(*label_set.lesions, HEALTHY), allow_outside=allow_outside
    )
    if not ignore_patient_id:
        rows, doubtful = refuse_patients_with_two_names(rows, table)
        refusals += doubtful
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
                sources=sources_of(
                    key, table.parent, [path for row in members for path in (row.image, row.mask)]
                ),
            )
        )
    return tasks, refusals


def sources_of(
    key: bytes, folder: Path, files: Iterable[Path | None], told: Sequence[str] = ()
) -> str:
    """Names as seen from the input's folder, which may move, and what else was told of them.

    Keyed, as names may tell of people.
    """
    names = ["" if path is None else os.path.relpath(path, folder) for path in files]
    # Names that are no UTF-8 cannot be encoded as they are.
    text = "\0".join([*names, *told]).encode("utf-8", "backslashreplace").decode()
    return pseudonym(key, "sources", text)


def slices_of(task: CaseTask, found: ReadCase) -> Iterator[LabelledSlice]:
    """Read a case slice by slice, feet to head.

    A scan that is refused raises its ``Refusal``; of a patient's slices the bad ones are
    listed in ``found.refusals`` and the others go on. Whatever else goes wrong while files are read
    becomes a ``Refusal`` too, ``unexpected-error``: one case must not end the work on the others.
    """
    if not task.rows:
        try:
            yield from (_of_volume if task.series is None else _of_series)(task, found)
        except Refusal:
            raise
        except Exception as error:
            raise unexpected(task.files[0], error) from None
        return
    for index, row in enumerate(task.rows):
        try:
            one = _of_row(task, row, index, found)
        except Refusal as refusal:
            found.refusals.append(refusal)
        except Exception as error:
            found.refusals.append(unexpected(row.image, error))
        else:
            yield one


def unexpected(path: Path, error: Exception) -> Refusal:
    """Refusal for an error that nobody foresaw; its text is not told, as it may quote the file."""
    return Refusal(
        "unexpected-error",
        path,
        expected="a file that this program can read, or refuses for a reason it knows",
        found=f"an error of kind {type(error).__name__}",
        remedy="Look at the file with another program; please report the kind of error.",
    )


def _of_volume(task: CaseTask, found: ReadCase) -> Iterator[LabelledSlice]:
    allowed = tuple(range(len(task.label_set)))
    with open_nifti_pair(task.volume, task.segmentation, allowed) as pair:
        yield from _of_pair(pair, found, lambda labels: "")


def _of_series(task: CaseTask, found: ReadCase) -> Iterator[LabelledSlice]:
    mapping = {name: task.label_set.index(meaning) for name, meaning in task.segments}
    pair = SeriesPair(task.series, mapping)
    found.details.update(pair.details)
    yield from _of_pair(pair, found, lambda labels: _drawn_diagnosis(labels, task.label_set))


def _of_pair(
    pair: NiftiPair | SeriesPair, found: ReadCase, diagnosis_of: Callable[[np.ndarray], str]
) -> Iterator[LabelledSlice]:
    found.cautions += pair.cautions
    distance, *in_plane = pair.spacing_mm
    found.details["spacing_mm"] = "x".join(f"{step:.3f}" for step in pair.spacing_mm)
    found.details["orientation"] = orientation_of(pair.source)
    under = UnderMask()
    for index, (hu, labels) in enumerate(pair.slices()):
        one = LabelledSlice(index, hu, labels, tuple(in_plane), diagnosis_of(labels), distance)
        under.add(one.hu_by_label)
        yield one
    found.cautions += under.cautions()


def _drawn_diagnosis(labels: np.ndarray, label_set: LabelSet) -> str:
    """Diagnosis of a slice by what is drawn in it; empty without kinds, and where there are two."""
    if label_set == LITS:
        return ""
    kinds = np.unique(labels[labels > LIVER])
    if not kinds.size:
        return HEALTHY
    return label_set.classes[kinds[0]] if kinds.size == 1 else ""


def _of_row(task: CaseTask, row: SliceRow, index: int, found: ReadCase) -> LabelledSlice:
    scan = read_dicom_slice(row.image)
    if row.mask is None:
        raise Refusal(
            "mask-missing",
            row.image,
            expected=f"a mask in line {row.line}",
            found="an empty cell",
            remedy="Outline the liver of healthy slices too, or leave the line out.",
        )
    labels = read_mask(row.mask, scan, _mapping(task, row))
    if labels.ndim == 3:
        labels = labels[0]
    _check_diagnosis(task, row, labels)
    found.cautions += [*scan.cautions, *mask_cautions(scan.hu[0], labels)]
    for name, value in scan.details.items():
        found.details.setdefault(name, value)
    found.details.setdefault("orientation", orientation_of(scan.source))
    return LabelledSlice(
        index,
        scan.hu[0],
        labels,
        _in_plane(scan),
        row.diagnosis,
    )


def orientation_of(grid: SourceGrid) -> str:
    """Where columns, rows and slices of a file run to, e.g. ``LPS``, before they were turned.

    For NIfTI these are the axes i, j, k; for DICOM the columns, rows and slices, in this order.
    """
    towards = {0: "SI", 1: "PA", 2: "LR"}
    letters = {
        axis: towards[canonical][flip]
        for canonical, (axis, flip) in enumerate(zip(grid.axes, grid.flips, strict=True))
    }
    order = (0, 1, 2) if grid.kind == "nifti" else (2, 1, 0)
    return "".join(letters[axis] for axis in order)


def _in_plane(scan: Scan) -> tuple[float, float] | None:
    return None if scan.spacing_mm is None else tuple(scan.spacing_mm[1:])


def _mapping(task: CaseTask, row: SliceRow) -> dict[int, int]:
    """Label by mask value for one row of the table."""
    # A lesion in a healthy slice gets some lesion's label here, and is refused for it below.
    kind = task.label_set.lesions[0] if row.diagnosis == HEALTHY else row.diagnosis
    return {
        value: task.label_set.index(kind if meaning == "lesion" else meaning)
        for value, meaning in task.mask_values
    }


def _check_diagnosis(task: CaseTask, row: SliceRow, labels: np.ndarray) -> None:
    """A healthy slice has no lesion; any other has at least a pixel of its diagnosis."""
    if row.diagnosis == HEALTHY:
        found = "lesion pixels" if bool((labels > LIVER).any()) else ""
    else:
        there = bool((labels == task.label_set.index(row.diagnosis)).any())
        found = "" if there else f"no pixel of {row.diagnosis}"
    if not found:
        return
    raise Refusal(
        "diagnosis-against-mask",
        row.mask,
        expected=f"a mask that agrees with the diagnosis {row.diagnosis!r} in line {row.line}",
        found=found,
        remedy="Mend the diagnosis or the mask, or check --mask_values.",
    )

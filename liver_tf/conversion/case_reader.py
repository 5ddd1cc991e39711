"""Reads a case from any source slice by slice, and refuses unreliable input."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from liver_tf.conversion.cases import CaseNotes, CaseTask, LabelledSlice, NeighbourSlice
from liver_tf.ct.bad_input import bad_input
from liver_tf.ct.dicom_series_with_seg import SeriesWithSeg
from liver_tf.ct.dicom_slice import read_dicom_slice
from liver_tf.ct.hu_plausibility import MaskHuCheck, mask_cautions
from liver_tf.ct.mask_file import read_mask
from liver_tf.ct.nifti_with_labels import NiftiWithLabels, label_slices, open_nifti_with_labels
from liver_tf.ct.reading_settings import refuse_cautions
from liver_tf.ct.scan import SourceGrid
from liver_tf.ct.slices_csv import SliceRow
from liver_tf.labels import HEALTHY, LITS, LIVER, LabelSet
from liver_tf.phantom.tissue_codes import CODES, labels_of_codes
from liver_tf.records.manifest import HAS_TISSUES, PIXEL_SPACING, SPACING
from liver_tf.refusals import Refusal


def read_slices(task: CaseTask, notes: CaseNotes) -> Iterator[LabelledSlice]:
    """Yield the slices of a case from feet to head; slices of a CSV in the order of its rows.

    ``notes`` receives cautions, scanner details and the refusals of single slices.

    Raises:
      Refusal: the scan cannot be used. Unforeseen errors become ``unexpected-error``, so that the
        remaining cases are processed.
    """
    notes.cautions += task.cautions
    try:
        if task.rows:
            yield from _slices_of_rows(task, notes)
        elif task.series is None:
            yield from _slices_of_volume(task, notes)
        else:
            yield from _slices_of_series(task, notes)
        if task.strict:
            refuse_cautions(notes.cautions, task.places[-1])
    except Refusal:
        raise
    except Exception as error:
        raise unexpected_error(task.files[0], error) from None


def read_neighbours(
    task: CaseTask, notes: CaseNotes, annotated: Collection[int]
) -> Iterator[NeighbourSlice]:
    """Yield the unlabelled neighbours of the annotated slices that were read.

    Their indices follow those of the rows. ``notes`` receives the refusals.

    Args:
      annotated: Indices of these slices.
    """
    for number, neighbour in enumerate(task.neighbours, len(task.rows)):
        if neighbour.row not in annotated:
            continue
        try:
            scan = read_dicom_slice(neighbour.path)
        except Refusal as refusal:
            notes.refusals.append(refusal)
        except Exception as error:
            notes.refusals.append(unexpected_error(neighbour.path, error))
        else:
            assert scan.spacing_mm is not None  # compared by ``find_neighbours``
            spacing_mm = scan.spacing_mm[1], scan.spacing_mm[2]
            yield NeighbourSlice(number, scan.hu[0], spacing_mm, neighbour.row, neighbour.offset_mm)


def unexpected_error(path: Path, error: Exception) -> Refusal:
    """Refusal for an unforeseen error. The error's text is omitted: it may quote the file."""
    expected = "a readable file, or a known reason to refuse it"
    return bad_input("unexpected-error", path, expected, f"an unexpected {type(error).__name__}")


def _slices_of_rows(task: CaseTask, notes: CaseNotes) -> Iterator[LabelledSlice]:
    for index, row in enumerate(task.rows):
        try:
            labelled = _slice_of_row(task, row, index, notes)
        except Refusal as refusal:
            notes.refusals.append(refusal)
        except Exception as error:
            notes.refusals.append(unexpected_error(row.image, error))
        else:
            yield labelled


def _slices_of_volume(task: CaseTask, notes: CaseNotes) -> Iterator[LabelledSlice]:
    allowed = tuple(range(len(task.label_set)))
    with open_nifti_with_labels(task.volume, task.segmentation, allowed) as pair:
        slices = _slices_of_pair(pair, notes, lambda labels: "")
        if task.tissues is None:
            yield from slices
            return
        notes.details[HAS_TISSUES] = "phantom"
        maps = label_slices(task.tissues, pair.source, range(CODES))
        for labelled, tissues in zip(slices, maps, strict=True):
            if not np.array_equal(labels_of_codes()[tissues], labelled.labels):
                expected = f"the labels of {task.segmentation.name} in every slice"
                found = f"different labels in slice {labelled.index} (from 0)"
                raise bad_input("mask-tissues", task.tissues, expected, found)
            yield replace(labelled, tissues=tissues)


def _slices_of_series(task: CaseTask, notes: CaseNotes) -> Iterator[LabelledSlice]:
    mapping = {name: task.label_set.index(meaning) for name, meaning in task.segments}
    pair = SeriesWithSeg(task.series, mapping)
    notes.details.update(pair.details)
    yield from _slices_of_pair(pair, notes, lambda labels: _drawn_diagnosis(labels, task.label_set))


def _slices_of_pair(
    pair: NiftiWithLabels | SeriesWithSeg,
    notes: CaseNotes,
    diagnosis_of: Callable[[np.ndarray], str],
) -> Iterator[LabelledSlice]:
    notes.cautions += pair.cautions
    distance, row_mm, column_mm = pair.spacing_mm
    notes.details[SPACING] = "x".join(f"{step:.3f}" for step in pair.spacing_mm)
    notes.details["orientation"] = orientation_of(pair.source)
    check = MaskHuCheck()
    for index, (hu, labels) in enumerate(pair.slices()):
        labelled = LabelledSlice(
            index, hu, labels, (row_mm, column_mm), diagnosis_of(labels), distance
        )
        check.add(labelled.hu_by_label)
        yield labelled
    notes.cautions += check.cautions()


def _drawn_diagnosis(labels: np.ndarray, label_set: LabelSet) -> str:
    """Diagnosis from the lesions drawn in a slice; empty for untyped lesions or several types."""
    if label_set == LITS:
        return ""
    types = np.unique(labels[labels > LIVER])
    if not types.size:
        return HEALTHY
    return label_set.classes[types[0]] if types.size == 1 else ""


def _slice_of_row(task: CaseTask, row: SliceRow, index: int, notes: CaseNotes) -> LabelledSlice:
    scan = read_dicom_slice(row.image)
    if row.mask is None:
        raise bad_input("mask-missing", row.image, f"a mask in line {row.line}", "an empty cell")
    labels = read_mask(row.mask, scan, _label_by_value(task, row), palette_index=task.palette_index)
    if labels.ndim == 3:
        labels = labels[0]
    _check_diagnosis(task, row, labels)
    notes.cautions += [*scan.cautions, *mask_cautions(scan.hu[0], labels)]
    for name, value in scan.details.items():
        notes.details.setdefault(name, value)
    notes.details.setdefault("orientation", orientation_of(scan.source))
    in_plane = None if scan.spacing_mm is None else (scan.spacing_mm[1], scan.spacing_mm[2])
    if in_plane:
        notes.details.setdefault(PIXEL_SPACING, "x".join(f"{step:.3f}" for step in in_plane))
    return LabelledSlice(index, scan.hu[0], labels, in_plane, row.diagnosis)


def _label_by_value(task: CaseTask, row: SliceRow) -> dict[int | str, int]:
    # A lesion in a healthy slice gets an arbitrary lesion label; _check_diagnosis refuses it.
    lesion = task.label_set.lesions[0] if row.diagnosis == HEALTHY else row.diagnosis
    return {
        value: task.label_set.index(lesion if meaning == "lesion" else meaning)
        for value, meaning in task.mask_values
    }


def _check_diagnosis(task: CaseTask, row: SliceRow, labels: np.ndarray) -> None:
    """Refuse a healthy slice with a lesion, and one without any pixel of its diagnosis."""
    if row.diagnosis == HEALTHY:
        agrees, found = not (labels > LIVER).any(), "lesion pixels"
    else:
        agrees = (labels == task.label_set.index(row.diagnosis)).any()
        found = f"no pixel of {row.diagnosis}"
    if not agrees:
        expected = f"a mask that agrees with the diagnosis {row.diagnosis!r} in line {row.line}"
        raise bad_input("diagnosis-against-mask", row.mask, expected, found)


def orientation_of(grid: SourceGrid) -> str:
    """Orientation of the file's axes before they were turned, e.g. ``LPS``.

    For NIfTI the directions of the axes i, j, k; for DICOM those of columns, rows and slices.
    """
    letters = {
        axis: towards[flip]
        for towards, axis, flip in zip(("SI", "PA", "LR"), grid.axes, grid.flips, strict=True)
    }
    order = (0, 1, 2) if grid.kind == "nifti" else (2, 1, 0)
    return "".join(letters[axis] for axis in order)

"""The data sources: LiTS pairs, DICOM series with DICOM SEG, and a CSV of slices.

A fourth source needs a ``find_...`` function here, a branch in ``find_cases`` and in
``case_reader.read_slices``, and a value of ``--source`` (``source_settings.py``).
"""

import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from liver_tf.conversion.cases import CaseTask
from liver_tf.conversion.neighbours import find_neighbours
from liver_tf.conversion.patient_id_check import refuse_patients_with_two_names
from liver_tf.conversion.segment_mapping import Segments
from liver_tf.conversion.source_settings import CORRECTED, SourceSettings
from liver_tf.ct.bad_input import bad_input
from liver_tf.ct.dicom_series_search import find_series_files
from liver_tf.ct.lits_search import find_lits_cases, source_group
from liver_tf.ct.patient_identity import (
    common_spelling,
    patient_key,
    similar_patients,
    spelling_cautions,
)
from liver_tf.ct.pseudonyms import pseudonym
from liver_tf.ct.slices_csv import SliceRow, read_slices_csv
from liver_tf.labels import HEALTHY, LITS, LabelSet
from liver_tf.refusals import Caution, Refusal


def find_cases(
    settings: SourceSettings, key: bytes
) -> tuple[list[CaseTask], list[Refusal], LabelSet]:
    """Find all cases of a source; identifiers become pseudonyms under the site key ``key``.

    Returns:
      A task for each case, a refusal for each file that cannot be used, and the label set.

    Raises:
      Refusal: the input cannot be read at all.
    """
    tasks, refusals, label_set = _find(settings, key)
    if settings.reading.strict:
        tasks = [replace(task, strict=True) for task in tasks]
    return tasks, refusals, label_set


def _find(settings: SourceSettings, key: bytes) -> tuple[list[CaseTask], list[Refusal], LabelSet]:
    if settings.source == "lits":
        return *find_lits(settings.input, key), LITS
    if settings.source == "series":
        label_set, segments = settings.segment_classes()
        tasks, refusals, ignored = find_series(
            settings.input,
            key,
            label_set,
            segments,
            study_is_patient=settings.series_without_patient_id == "own_patient",
            allow_damaged=settings.reading.allow_damaged,
            corrected=settings.labels == CORRECTED,
        )
        for code, count in sorted(ignored.items()):
            print(f"ignored: {count} x {code}", file=sys.stderr)
        return tasks, refusals, label_set
    label_set = settings.typed_labels()
    tasks, refusals = find_slices(
        settings.input,
        key,
        label_set,
        settings.mask_meanings(),
        allow_outside=settings.allow_outside,
        ignore_patient_id=settings.ignore_patient_id,
        palette_index=settings.palette_index,
        neighbour_mm=settings.neighbour_mm,
    )
    return tasks, refusals, label_set


def find_lits(folder: Path, key: bytes) -> tuple[list[CaseTask], list[Refusal]]:
    """A task for each LiTS pair below a folder, and a refusal for each file that forms none."""
    pairs, refusals = find_lits_cases(folder)
    tasks = []
    for pair in pairs:
        name = f"lits-{pair.number}"
        tissues = pair.segmentation.with_name(
            pair.segmentation.name.replace("segmentation-", "tissues-")
        )
        if tissues == pair.segmentation or not tissues.exists():
            tissues = None
        files = (pair.volume, pair.segmentation, *([tissues] if tissues else []))
        task = CaseTask(
            **_pseudonyms(key, name, name, folder, files),
            label_set=LITS,
            volume=pair.volume,
            segmentation=pair.segmentation,
            tissues=tissues,
        )
        group = source_group(pair.number)
        tasks.append(replace(task, group=group) if group == "3D-IRCADb" else task)
    return tasks, refusals


def find_series(
    folder: Path,
    key: bytes,
    label_set: LabelSet,
    segments: Segments,
    *,
    study_is_patient: bool = False,
    allow_damaged: bool = False,
    corrected: bool = False,
) -> tuple[list[CaseTask], list[Refusal], Counter[str]]:
    """Find all CT series below a folder with their DICOM SEG.

    ``study_is_patient`` accepts a series without PatientID: its study is a separate patient.
    ``allow_damaged`` leaves out slices that cannot be read, ``corrected`` segmentations that this
    program wrote.

    Returns:
      Tasks, refusals, and the number of ignored files by reason
      (:func:`liver_tf.ct.dicom_series_search.find_series_files`).
    """
    series, refusals, ignored = find_series_files(
        folder, allow_damaged=allow_damaged, corrected=corrected
    )
    spellings: dict[str, set[str]] = defaultdict(set)
    for files in series:
        spellings[patient_key(files.patient_id)].add(files.patient_id)
    similar = similar_patients(spellings)
    tasks = []
    for files in series:
        cautions = list(files.cautions)
        patient = patient_key(files.patient_id)
        identifier = common_spelling(spellings[patient]) if patient else ""
        if identifier:
            cautions += spelling_cautions(spellings[patient]) + similar[patient]
        if not identifier and not study_is_patient:
            expected = "a PatientID, which keeps all series of a patient in the same split"
            refusals.append(bad_input("series-no-patient", files.place, expected, "none"))
            continue
        if not identifier:
            identifier = f"study {files.study_uid or files.series_uid}"
            note = "no PatientID in the slices: the study counts as a separate patient"
            cautions.append(Caution("series-no-patient", note))
        members = (*files.slices, *files.segmentations)
        details = [repr(segments), *(caution.text for caution in cautions)]
        tasks.append(
            CaseTask(
                **_pseudonyms(key, files.series_uid, identifier, folder, members, details),
                label_set=label_set,
                series=replace(files, cautions=tuple(cautions)),
                segments=segments,
            )
        )
    return tasks, refusals, ignored


def find_slices(
    table: Path,
    key: bytes,
    label_set: LabelSet,
    mask_values: tuple[tuple[int, str], ...],
    *,
    allow_outside: bool = False,
    ignore_patient_id: bool = False,
    palette_index: bool = False,
    neighbour_mm: float = 5.0,
) -> tuple[list[CaseTask], list[Refusal]]:
    """A task for each patient of a slices CSV, and a refusal for each line that cannot be used.

    Args:
      mask_values: (mask value, class name) pairs; ``lesion`` stands for the row's diagnosis.
      allow_outside: accept absolute paths and paths that leave the CSV's folder.
      ignore_patient_id: identify patients by the CSV alone, not by PatientID in the images.
      palette_index: take the indices of palette images as values.
      neighbour_mm: distance up to which neighbours are taken from a folder.
    """
    rows, refusals = read_slices_csv(
        table, diagnoses=(*label_set.lesions, HEALTHY), allow_outside=allow_outside
    )
    if not ignore_patient_id:
        rows, doubtful = refuse_patients_with_two_names(rows, table)
        refusals += doubtful
    by_patient: dict[str, list[SliceRow]] = defaultdict(list)
    for row in rows:
        by_patient[patient_key(row.patient_id)].append(row)
    similar = similar_patients(by_patient)
    tasks = []
    for patient, members in by_patient.items():
        spellings = {row.patient_id for row in members}
        identifier = common_spelling(spellings)
        neighbours, unusable = find_neighbours(members, neighbour_mm)
        refusals += unusable
        files = [path for row in members for path in (row.image, row.mask)]
        files += [neighbour.path for neighbour in neighbours]
        tasks.append(
            CaseTask(
                **_pseudonyms(key, identifier, identifier, table.parent, files),
                label_set=label_set,
                rows=tuple(members),
                neighbours=neighbours,
                mask_values=mask_values,
                palette_index=palette_index,
                cautions=spelling_cautions(spellings) + similar[patient],
            )
        )
    return tasks, refusals


def _pseudonyms(
    key: bytes,
    case: str,
    patient: str,
    folder: Path,
    files: Iterable[Path | None],
    details: Sequence[str] = (),
) -> dict[str, Any]:
    """Pseudonyms of case, patient, group and sources (file names and ``details``).

    File names are relative to ``folder``, as the input may move.
    """
    names = ["" if path is None else os.path.relpath(path, folder) for path in files]
    # File names that are not UTF-8 cannot be encoded directly.
    sources = "\0".join([*names, *details]).encode("utf-8", "backslashreplace").decode()
    return {
        "case": pseudonym(key, "case", case),
        "patient": pseudonym(key, "patient", patient),
        "group": pseudonym(key, "patient", patient),
        "sources": pseudonym(key, "sources", sources),
    }

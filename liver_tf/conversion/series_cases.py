"""From a folder of DICOM files to cases: each CT series with its DICOM SEG is one."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from liver_tf.conversion.cases import CaseTask, sources_of
from liver_tf.conversion.segments import Segments
from liver_tf.ct.dicom_folder import SeriesFiles, find_series_files
from liver_tf.ct.pseudonyms import pseudonym
from liver_tf.labels import LabelSet
from liver_tf.refusals import Caution, Refusal


def find_series(
    folder: Path,
    key: bytes,
    label_set: LabelSet,
    segments: Segments,
    *,
    study_is_patient: bool = False,
) -> tuple[list[CaseTask], list[Refusal], Counter[str]]:
    """All CT series below a folder with their DICOM SEG, what fits nothing, and what is left out.

    Args:
      segments: the class of each segment, as returned by
        :func:`liver_tf.conversion.segments.parse_segments`.
      study_is_patient: whether a series without PatientID is accepted; its study then stands for
        a patient whom no other study shares.

    Returns:
      Tasks, refusals, and the number of files left out by reason, as
      :func:`liver_tf.ct.dicom_folder.find_series_files` has it.
    """
    found, refusals, left_out = find_series_files(folder)
    tasks = []
    for files in found:
        cautions = list(files.cautions)
        identifier = files.patient_id
        if not identifier and not study_is_patient:
            refusals.append(_no_patient(files))
            continue
        if not identifier:
            identifier = f"study {files.study_uid or files.series_uid}"
            note = "the slices name no patient: their study stands for one of its own"
            cautions.append(Caution("series-no-patient", note))
        patient = pseudonym(key, "patient", identifier)
        told = [repr(segments), *(caution.text for caution in cautions)]
        tasks.append(
            CaseTask(
                case=pseudonym(key, "case", files.series_uid),
                patient=patient,
                group=patient,
                label_set=label_set,
                series=replace(files, cautions=tuple(cautions)),
                segments=segments,
                sources=sources_of(key, folder, (*files.slices, *files.segmentations), told),
            )
        )
    return tasks, refusals, left_out


def _no_patient(files: SeriesFiles) -> Refusal:
    return Refusal(
        "series-no-patient",
        files.place,
        expected="a PatientID, which keeps a patient's series on one side of every split",
        found="none",
        remedy="Export with a PatientID (a pseudonym will do). If every study is another patient, "
        "say so with --series_without_patient_id=own_patient.",
    )

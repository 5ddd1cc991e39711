"""Whether the table of slices and the images agree on who is one patient.

A patient who stands in the table under two identifiers would be trained on and tested on, and other
slices of the same liver are not alike enough for the leakage guard. PatientID in the images tells.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from liver_tf.ct.dicom_file import read_dataset, text
from liver_tf.ct.slices_csv import SliceRow, same_text
from liver_tf.refusals import Refusal


def refuse_patients_with_two_names(
    rows: list[SliceRow], table: Path
) -> tuple[list[SliceRow], list[Refusal]]:
    """Leave out all rows of patients whose images bear one PatientID under several patient_id.

    Where all images of the table bear the same PatientID, as some tools for anonymisation write
    it, it tells nothing. Images that cannot be read are left for whoever reads their pixels.

    Returns:
      The other rows, and a refusal ``csv-patient-twice`` for each row left out.
    """
    patients: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        identifier = _patient_id(row.image)
        if identifier:
            patients[identifier].add(row.patient_id)
    if len(patients) < 2:
        return rows, []
    doubtful = {name for names in patients.values() if len(names) > 1 for name in names}
    refusals = [_refused(row, table) for row in rows if row.patient_id in doubtful]
    return [row for row in rows if row.patient_id not in doubtful], refusals


def _patient_id(image: Path) -> str:
    try:
        dataset = read_dataset(image, pixels=False, only=["PatientID"])
        return same_text(text(dataset, "PatientID", image))
    except Refusal:
        return ""


def _refused(row: SliceRow, table: Path) -> Refusal:
    return Refusal(
        "csv-patient-twice",
        table,
        expected=f"in line {row.line}: one patient_id for all images with the same PatientID",
        found="a PatientID that stands under several",
        remedy="Give one person one patient_id. If the table is right and the images are not, say "
        "so with --ignore_patient_id.",
    )

"""Checks that the slices CSV and the images agree on the patients.

A patient listed under two identifiers could end up in both training and test. The leakage guard
would miss this, as different slices of one liver are not near-duplicates.
"""

from collections import defaultdict
from pathlib import Path

from liver_tf.ct.bad_input import bad_input
from liver_tf.ct.dicom_elements import read_dataset, text
from liver_tf.ct.patient_identity import patient_key
from liver_tf.ct.slices_csv import SliceRow
from liver_tf.refusals import Refusal


def refuse_patients_with_two_names(
    rows: list[SliceRow], table: Path
) -> tuple[list[SliceRow], list[Refusal]]:
    """Remove the rows of patients whose images share a PatientID under several ``patient_id``.

    A PatientID common to all images, as some anonymisation tools write it, is ignored. Images that
    cannot be read are refused later, when their pixels are read.

    Returns:
      The remaining rows, and a refusal ``csv-patient-twice`` for each row removed.
    """
    names_by_id: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        names_by_id[_patient_id(row.image)].add(patient_key(row.patient_id))
    names_by_id.pop("", None)
    if len(names_by_id) < 2:
        return rows, []
    doubtful = {name for names in names_by_id.values() if len(names) > 1 for name in names}
    rule = "one patient_id for all images with the same PatientID"
    found = "several patient_id for one PatientID"
    refusals = [
        bad_input("csv-patient-twice", table, f"in line {row.line}: {rule}", found)
        for row in rows
        if patient_key(row.patient_id) in doubtful
    ]
    return [row for row in rows if patient_key(row.patient_id) not in doubtful], refusals


def _patient_id(image: Path) -> str:
    try:
        dataset = read_dataset(image, pixels=False, only=["PatientID"])
        return patient_key(text(dataset, "PatientID", image))
    except Refusal:
        return ""

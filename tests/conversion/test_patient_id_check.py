"""PatientID in the images reveals a patient with two identifiers in the CSV."""

from __future__ import annotations

import pydicom

from liver_tf.conversion.sources import find_slices
from liver_tf.labels import LESION_TYPES
from tests.builders.phantom_sets import (
    KEY,
    MASK_VALUES,
    convert_slices,
    read_table,
)


def codes(refusals) -> list[str]:
    return [refusal.code for refusal in refusals]


def set_patient_ids(sheba, names):
    """Write PatientID into the images, by the table's patient_id."""
    for row in read_table(sheba / "slices.csv"):
        file = pydicom.dcmread(sheba / row["image"])
        file.PatientID = names(row["patient_id"])
        file.save_as(sheba / row["image"])


def test_a_patient_under_two_identifiers_is_refused(sheba, tmp_path):
    """Other slices of the same liver are not near-duplicates: only PatientID reveals it."""
    rows = read_table(sheba / "slices.csv")
    first, second, *_ = dict.fromkeys(row["patient_id"] for row in rows)
    set_patient_ids(sheba, lambda name: "X" if name in (first, second) else f"{name}x")
    lines = [n for n, row in enumerate(rows, 2) if row["patient_id"] in (first, second)]
    manifest, refusals = convert_slices(sheba / "slices.csv", tmp_path / "set")
    assert codes(refusals) == ["csv-patient-twice"] * len(lines)
    for line, refusal in zip(lines, refusals, strict=True):
        assert f"in line {line}: one patient_id" in refusal.text()
    others = [row for row in rows if row["patient_id"] not in (first, second)]
    assert manifest.records == len(others)
    tasks, refusals = find_slices(
        sheba / "slices.csv", KEY, LESION_TYPES, MASK_VALUES, ignore_patient_id=True
    )
    assert not refusals
    assert sum(len(task.rows) for task in tasks) == len(rows)


def test_one_patient_id_for_all_images_is_ignored(sheba):
    set_patient_ids(sheba, lambda name: "ANONYMOUS")
    _, refusals = find_slices(sheba / "slices.csv", KEY, LESION_TYPES, MASK_VALUES)
    assert not refusals

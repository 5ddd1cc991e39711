"""Names planted in CSV, headers, file and folder names never reach the output."""

from __future__ import annotations

import shutil

import nibabel
import numpy as np
import pydicom

from liver_tf.labels import LITS
from tests.builders.phantom_sets import (
    KEY,
    bytes_of,
    convert_lits,
    read_table,
    run_command,
    write_table,
)

CANARY = "CANARY"


def plant_in_dicom(path) -> None:
    file = pydicom.dcmread(path)
    for keyword in (
        "PatientName",
        "PatientID",
        "AccessionNumber",
        "InstitutionName",
        "Manufacturer",
        "ManufacturerModelName",
        "StudyDescription",
        "SeriesDescription",
        "ReferringPhysicianName",
        "OperatorsName",
        "ProtocolName",
        "ImageComments",
        "StationName",
        "OtherPatientIDs",
        "PatientAddress",
        "PatientComments",
        "DeviceSerialNumber",
        "RequestingPhysician",
        "PerformedProcedureStepDescription",
        "AdmissionID",
    ):
        setattr(file, keyword, f"{CANARY}-{keyword}"[:16])
    file.PatientBirthDate = "19010203"
    block = file.private_block(0x0011, f"{CANARY} CREATOR", create=True)
    block.add_new(0x01, "LO", f"{CANARY}-private")
    item = pydicom.Dataset()
    item.PatientID = f"{CANARY}-nested"
    file.RequestAttributesSequence = [item]
    file.save_as(path)


def assert_clean(output) -> None:
    contents = bytes_of(output)
    assert "manifest.json" in contents
    for name, content in contents.items():
        assert CANARY not in name
        assert CANARY.encode() not in content.upper(), name
        assert b"19010203" not in content, name


def test_slices(tiny_phantom, tmp_path):
    folder = tmp_path / f"{CANARY} hospital"
    shutil.copytree(tiny_phantom / "sheba", folder)
    rows = read_table(folder / "slices.csv")
    for number, row in enumerate(rows):
        plant_in_dicom(folder / row["image"])
        row["slice_id"] = f"{CANARY}-{row['slice_id']}"
        row["patient_id"] = f"{CANARY}-{row['patient_id']}"
        for column in ("image", "mask"):
            old = folder / row[column]
            row[column] = f"{CANARY.lower()}/{CANARY}{number}{old.suffix}"
            (folder / row[column]).parent.mkdir(exist_ok=True)
            old.rename(folder / row[column])
    # Every kind of refusal: of the table, of an image, of a mask, of both together.
    rows[0]["diagnosis"] = f"{CANARY}oma"
    (folder / rows[1]["image"]).write_bytes((folder / rows[1]["image"]).read_bytes()[:-500])
    (folder / rows[2]["mask"]).write_bytes(b"\x89PNG CANARY")
    typed = next(row for row in rows[3:] if row["diagnosis"] == "cyst")
    typed["diagnosis"] = "healthy"
    rows[-1]["mask"] = f"../{CANARY}.png"
    write_table(folder / "slices.csv", rows)
    done = run_command(
        "build_tfrecords",
        "--source=slices",
        f"--input={folder / 'slices.csv'}",
        f"--output={tmp_path / 'set'}",
        "--workers=1",
        "--folds=2",
    )
    assert done.returncode == 1
    assert "5 refused" in done.stderr
    assert (tmp_path / "set/folds.json").is_file()
    assert (tmp_path / "set/.cases").is_dir()
    assert_clean(tmp_path / "set")
    # The terminal names files, so that they can be corrected, but quotes no CSV cells.
    assert f"{CANARY}oma" not in done.stderr + done.stdout


def test_volumes(tiny_phantom, tmp_path):
    folder = tmp_path / f"{CANARY} hospital" / CANARY
    folder.mkdir(parents=True)
    for number in (0, 1):
        for part in ("volume", "segmentation"):
            image = nibabel.load(tiny_phantom / f"lits/{part}-{number}.nii.gz")
            image.header["descrip"] = f"{CANARY} description"
            image.header["aux_file"] = f"{CANARY} aux"
            image.header["db_name"] = f"{CANARY} db"
            image.header["intent_name"] = f"{CANARY} intent"
            image.header.extensions.append(
                nibabel.nifti1.Nifti1Extension("comment", CANARY.encode())
            )
            nibabel.save(image, folder / f"{part}-{number}.nii.gz")
    # A case that is cautioned (identity affines) and one that is refused.
    for part in ("volume", "segmentation"):
        image = nibabel.load(folder / f"{part}-1.nii.gz")
        moved = nibabel.Nifti1Image(np.asarray(image.dataobj), np.eye(4), image.header)
        nibabel.save(moved, folder / f"{part}-1.nii.gz")
    shutil.copy(folder / "volume-0.nii.gz", folder / "volume-5.nii.gz")
    (folder / "segmentation-5.nii.gz").write_bytes(b"\x1f\x8b" + CANARY.encode())
    manifest, refusals = convert_lits(tmp_path / f"{CANARY} hospital", tmp_path / "set")
    assert manifest.label_set == LITS
    assert len(refusals) == 1
    assert any(case.cautions for case in manifest.cases)
    assert_clean(tmp_path / "set")
    texts = [refusal["text"] for refusal in manifest.refusals]
    texts += [text for case in manifest.cases for _, text in case.cautions]
    for text in texts:
        assert str(tmp_path) not in text
        assert ".nii" not in text
        assert "lits-" not in text


def test_the_key_is_not_written(lits_set, slices_set):
    for folder in (lits_set, slices_set):
        assert all(KEY not in content for content in bytes_of(folder).values())

"""Records have the pixels, labels and sums that other libraries find in the files."""

from __future__ import annotations

import json

import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image

from liver_tf.ct.pseudonyms import pseudonym
from liver_tf.labels import LESION_TYPES
from liver_tf.records.manifest import load_manifest
from tests.builders.phantom_sets import KEY, convert_lits, read_table, records_of


def canonical(path) -> np.ndarray:
    """[slices, rows, columns] of a NIfTI file by nibabel: feet to head, A to P, R to L."""
    ras = nibabel.as_closest_canonical(nibabel.load(path))
    return np.asarray(ras.dataobj).transpose(2, 1, 0)[:, ::-1, ::-1]


@pytest.mark.parametrize("number", [0, 1])
def test_records_of_a_volume(tiny_phantom, lits_set, number):
    hu = canonical(tiny_phantom / f"lits/volume-{number}.nii.gz")
    labels = canonical(tiny_phantom / f"lits/segmentation-{number}.nii.gz")
    case = pseudonym(KEY, "case", f"lits-{number}")
    zooms = nibabel.load(tiny_phantom / f"lits/volume-{number}.nii.gz").header.get_zooms()
    records = records_of(lits_set)
    assert {index for name, index in records if name == case} == set(range(8))
    for index in range(8):
        record = records[case, index]
        assert record.image.dtype == np.int16
        np.testing.assert_array_equal(record.image, np.clip(hu[index], -160, 240))
        np.testing.assert_array_equal(record.labels, labels[index])
        np.testing.assert_allclose(record.spacing_mm, (zooms[1], zooms[0]), rtol=1e-6)
        assert record.patient == pseudonym(KEY, "patient", f"lits-{number}")
        assert record.diagnosis == ""


def test_records_of_slices(tiny_phantom, slices_set):
    folder = tiny_phantom / "sheba"
    rows = read_table(folder / "slices.csv")
    records = records_of(slices_set)
    assert len(records) == len(rows) == 21
    place: dict[str, int] = {}
    for row in rows:
        index = place.setdefault(row["patient_id"], 0)
        place[row["patient_id"]] += 1
        record = records[pseudonym(KEY, "case", row["patient_id"]), index]
        file = pydicom.dcmread(folder / row["image"])
        stored = file.pixel_array.astype(np.int32)
        hu = stored * int(file.RescaleSlope) + int(file.RescaleIntercept)
        if "PixelPaddingValue" in file:
            hu[stored == file.PixelPaddingValue] = -1000
        values = np.array(Image.open(folder / row["mask"]))
        label = 2 if row["diagnosis"] == "healthy" else LESION_TYPES.index(row["diagnosis"])
        np.testing.assert_array_equal(record.image, np.clip(hu, -160, 240))
        np.testing.assert_array_equal(record.labels, np.where(values == 2, label, values))
        np.testing.assert_allclose(record.spacing_mm, file.PixelSpacing, rtol=1e-6)
        assert record.diagnosis == row["diagnosis"]


@pytest.mark.parametrize("name", ["lits_set", "slices_set"])
def test_statistics_agree_with_the_records(request, name):
    folder = request.getfixturevalue(name)
    records = records_of(folder)
    manifest = load_manifest(folder)
    assert manifest.records == len(records)
    for entry in manifest.cases:
        of_case = [record for (case, _), record in records.items() if case == entry.case]
        labels = np.stack([record.labels for record in of_case])
        liver = np.stack([record.image for record in of_case])[labels == 1].astype(np.int64)
        counts = [int((labels == label).sum()) for label in range(len(manifest.label_set))]
        assert list(entry.statistics.class_pixels) == counts
        assert entry.statistics.liver_sum == liver.sum()
        assert entry.statistics.liver_sum_of_squares == (liver**2).sum()
        assert entry.records == len(of_case)


def test_manifest_records_window_arguments_and_orientation(lits_set, slices_set):
    stored = json.loads((slices_set / "manifest.json").read_text())
    assert stored["window"] == [-160, 240]
    assert stored["made_by"]["mask_values"] == "0:background,1:liver,2:lesion"
    assert {case["details"]["orientation"] for case in stored["cases"]} == {"LPS"}
    for case in load_manifest(lits_set).cases:
        assert len(case.details["orientation"]) == 3
        assert len(case.details["spacing_mm"].split("x")) == 3


def test_diagnosis_of_a_patient(slices_set, tiny_phantom):
    rows = read_table(tiny_phantom / "sheba/slices.csv")
    expected = {pseudonym(KEY, "case", row["patient_id"]): row["diagnosis"] for row in rows}
    assert {case.case: case.diagnosis for case in load_manifest(slices_set).cases} == expected


def test_a_rotated_mask_raises_a_caution(tiny_phantom, tmp_path):
    source = tmp_path / "lits"
    source.mkdir()
    volume = tiny_phantom / "lits/volume-0.nii.gz"
    (source / "volume-0.nii.gz").write_bytes(volume.read_bytes())
    mask = nibabel.load(tiny_phantom / "lits/segmentation-0.nii.gz")
    turned = np.roll(np.asarray(mask.dataobj)[::-1, ::-1], 20, axis=0)
    nibabel.save(nibabel.Nifti1Image(turned, mask.affine), source / "segmentation-0.nii.gz")
    manifest, refusals = convert_lits(source, tmp_path / "out")
    assert not refusals
    codes = [code for code, _ in manifest.cases[0].cautions]
    assert "liver-hu" in codes

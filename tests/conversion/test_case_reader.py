"""Masks, diagnoses and unforeseen errors while a case is read."""

from __future__ import annotations

import shutil

import nibabel
import numpy as np
import pytest
from PIL import Image

from liver_tf.labels import LESION_TYPES
from liver_tf.records.manifest import load_manifest
from tests.builders.phantom_sets import (
    convert_lits,
    convert_slices,
    first_row,
    read_table,
    records_of,
    write_table,
)


def codes(refusals) -> list[str]:
    return [refusal.code for refusal in refusals]


@pytest.mark.parametrize("source", ["lits", "slices"])
def test_unforeseen_errors_stop_one_case_only(tiny_phantom, sheba, monkeypatch, tmp_path, source):
    from liver_tf.conversion import case_reader

    name = "open_nifti_with_labels" if source == "lits" else "read_dicom_slice"
    real = getattr(case_reader, name)
    bad = "volume-1" if source == "lits" else first_row(sheba)["image"]

    def failing(path, *more):
        if bad in str(path):
            raise RuntimeError("CANARY of a patient")
        return real(path, *more)

    monkeypatch.setattr(case_reader, name, failing)
    if source == "lits":
        manifest, refusals = convert_lits(tiny_phantom / "lits", tmp_path / "set")
        assert manifest.records == 8
    else:
        manifest, refusals = convert_slices(sheba / "slices.csv", tmp_path / "set")
        assert manifest.records == 20
    assert codes(refusals) == ["unexpected-error"]
    assert "RuntimeError" in refusals[0].text()
    assert "CANARY" not in refusals[0].text_with_path()


def test_mask_values_may_be_lesion_types(sheba, tmp_path):
    row = first_row(sheba, diagnosis="cyst")
    mask = np.array(Image.open(sheba / row["mask"]))
    expected = np.where(mask == 2, LESION_TYPES.index("cyst"), mask)
    row_of_liver = np.argwhere(mask == 1)[0]
    expected[tuple(row_of_liver)] = LESION_TYPES.index("metastasis")
    coded = np.array([10, 20, 30, 40, 50], np.uint8)[expected]
    Image.fromarray(coded).save(sheba / row["mask"])
    write_table(sheba / "slices.csv", [row])
    names = ((10, "background"), (20, "liver"), (30, "cyst"), (40, "hemangioma"))
    meanings = (*names, (50, "metastasis"))
    _, refusals = convert_slices(sheba / "slices.csv", tmp_path / "set", meanings)
    assert not refusals
    (record,) = records_of(tmp_path / "set").values()
    np.testing.assert_array_equal(record.labels, expected)


@pytest.mark.parametrize("meaning", ["lesion", "cyst"])
def test_a_healthy_slice_with_a_lesion_is_refused(sheba, tmp_path, meaning):
    row = first_row(sheba, diagnosis="metastasis")
    row["diagnosis"] = "healthy"
    write_table(sheba / "slices.csv", [row])
    meanings = ((0, "background"), (1, "liver"), (2, meaning))
    _, refusals = convert_slices(sheba / "slices.csv", tmp_path / "set", meanings)
    assert codes(refusals) == ["diagnosis-against-mask", "nothing-converted"]
    assert "found lesion pixels" in refusals[0].text()


def test_a_diagnosis_that_contradicts_the_mask_is_refused(sheba, tmp_path):
    row = first_row(sheba, diagnosis="metastasis")
    write_table(sheba / "slices.csv", [row])
    meanings = ((0, "background"), (1, "liver"), (2, "cyst"))
    _, refusals = convert_slices(sheba / "slices.csv", tmp_path / "set", meanings)
    assert codes(refusals) == ["diagnosis-against-mask", "nothing-converted"]
    assert "found no pixel of metastasis" in refusals[0].text()


def test_a_healthy_slice_without_mask_is_refused(sheba, tmp_path):
    rows = read_table(sheba / "slices.csv")
    row = next(row for row in rows if row["diagnosis"] == "healthy")
    row["mask"] = ""
    write_table(sheba / "slices.csv", rows)
    manifest, refusals = convert_slices(sheba / "slices.csv", tmp_path / "set")
    assert codes(refusals) == ["mask-missing"]
    assert "Outline the liver in healthy slices too" in refusals[0].text()
    assert manifest.records == len(rows) - 1


def test_a_slice_without_liver_is_accepted(sheba, tmp_path):
    row = first_row(sheba, diagnosis="healthy")
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(sheba / row["mask"])
    write_table(sheba / "slices.csv", [row])
    manifest, refusals = convert_slices(sheba / "slices.csv", tmp_path / "set")
    assert not refusals
    assert manifest.cases[0].statistics.class_pixels == (64 * 64, 0, 0, 0, 0)


def test_volumes_without_lesion_or_liver_are_accepted(tiny_phantom, tmp_path):
    source = tmp_path / "lits"
    source.mkdir()
    for number, keep in ((0, 1), (1, 0)):
        volume = tiny_phantom / f"lits/volume-{number}.nii.gz"
        shutil.copy(volume, source)
        image = nibabel.load(tiny_phantom / f"lits/segmentation-{number}.nii.gz")
        labels = np.minimum(np.asarray(image.dataobj), keep)
        mask = nibabel.Nifti1Image(labels, image.affine)
        nibabel.save(mask, source / f"segmentation-{number}.nii.gz")
    manifest, refusals = convert_lits(source, tmp_path / "set")
    assert not refusals
    assert load_manifest(tmp_path / "set") == manifest
    assert {case.diagnosis for case in manifest.cases} == {"healthy"}
    assert sum(case.statistics.class_pixels[2] for case in manifest.cases) == 0

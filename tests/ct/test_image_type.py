"""ImageType: maps of other quantities are refused, derived images accepted with a caution."""

from __future__ import annotations

import pytest

from liver_tf.ct.dicom_slice import read_dicom_slice
from liver_tf.refusals import Refusal
from tests.builders.ct_files import phantom_hu, write_dicom


def path_of(tmp_path, image_type):
    def change(dataset):
        dataset.ImageType = image_type

    return write_dicom(tmp_path / "s.dcm", phantom_hu()[0], change=change)


@pytest.mark.parametrize(
    "image_type",
    [
        ["DERIVED", "PRIMARY", "AXIAL", "MAT_SPECIFIC"],
        ["DERIVED", "PRIMARY", "AXIAL", "EFF_ATOMIC_NUM"],
        ["DERIVED", "PRIMARY", "MATERIAL MAP"],
        ["DERIVED", "PRIMARY", "AXIAL", "ELECTRON DENSITY"],
        ["DERIVED", "SECONDARY", "AXIAL", "Z_EFF"],
        ["DERIVED", "PRIMARY", "AXIAL", "CT_SOM7 SPP IODINE"],
        ["DERIVED", "SECONDARY", "OTHER", "VRT"],
        ["DERIVED", "PRIMARY", "SUBTRACTION"],
    ],
)
def test_maps_are_refused(tmp_path, image_type):
    with pytest.raises(
        Refusal, match=r"\[dicom-not-hu\] expected an image in HU; found an ImageType"
    ):
        read_dicom_slice(path_of(tmp_path, image_type))


@pytest.mark.parametrize(
    ("image_type", "words"),
    [
        (["DERIVED", "SECONDARY", "MIP"], "DERIVED, MIP"),
        (["DERIVED", "SECONDARY", "PROJECTION IMAGE"], "DERIVED, PROJECTION_IMAGE"),
        (["DERIVED", "PRIMARY", "AXIAL", "VMI"], "DERIVED, VMI"),
        (["ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM5 SPI DE MONO"], "MONO"),
    ],
)
def test_derived_images_are_named(tmp_path, image_type, words):
    (caution,) = read_dicom_slice(path_of(tmp_path, image_type)).cautions
    assert caution.code == "dicom-derived"
    assert caution.text.endswith(f": {words}")


def test_free_text_is_not_repeated(tmp_path):
    scan = read_dicom_slice(path_of(tmp_path, ["ORIGINAL", "PRIMARY", "AXIAL", "MEIER"]))
    assert scan.cautions == ()

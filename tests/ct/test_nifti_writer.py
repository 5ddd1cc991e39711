"""The header of a label map has the geometry of its volume, field by field."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest

from liver_tf.ct.dicom_series import read_dicom_series
from liver_tf.ct.nifti_volume import read_nifti_volume
from liver_tf.ct.nifti_writer import write_nifti_labels
from tests.builders.ct_files import write_series

GEOMETRY = (
    *("qform_code", "sform_code", "xyzt_units", "quatern_b", "quatern_c", "quatern_d"),
    *("qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z"),
)


def oblique():
    cosine, sine = np.cos(0.2), np.sin(0.2)
    affine = np.array([[-0.7, 0, 0, 81.3], [0, 0.8, 0, -30.1], [0, 0, 2.5, -512.7], [0, 0, 0, 1]])
    return (
        np.array([[1, 0, 0, 0], [0, cosine, -sine, 0], [0, sine, cosine, 0], [0, 0, 0, 1]]) @ affine
    )


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("units", ["unknown", "mm"])
@pytest.mark.parametrize(("qform", "sform"), [(1, 1), (2, 4), (1, 0), (0, 2), (0, 0), (1, 2)])
def test_qform_sform_and_units_equal_those_of_the_volume(tmp_path, kind, units, qform, sform):
    hu = np.full((9, 8, 7), -100, np.int16)
    hu[2:4, 5, 6] = 50
    volume = kind(hu, None)
    volume.set_qform(oblique() if qform else None, code=qform)
    # An sform that differs slightly, as after a registration.
    volume.set_sform(oblique() + np.eye(4, k=3) * 0.25 if sform else None, code=sform)
    volume.header.set_zooms((0.7, 0.8, 2.5))
    volume.header.set_xyzt_units(units)
    volume.header["descrip"] = b"CANARY"
    volume.header["aux_file"] = b"CANARY"
    nibabel.save(volume, tmp_path / "volume.nii")
    scan = read_nifti_volume(tmp_path / "volume.nii")
    write_nifti_labels(tmp_path / "labels.nii", (scan.hu == 50).astype(np.uint8), scan)
    volume, labels = (nibabel.load(tmp_path / f"{name}.nii") for name in ("volume", "labels"))
    assert type(labels) is type(volume)
    for field in GEOMETRY:
        assert labels.header[field].tobytes() == volume.header[field].tobytes(), field
    np.testing.assert_array_equal(labels.header["pixdim"][:4], volume.header["pixdim"][:4])
    np.testing.assert_array_equal(labels.affine, volume.affine)
    np.testing.assert_array_equal(np.asarray(labels.dataobj) == 1, hu == 50)
    assert labels.get_data_dtype() == np.uint8
    assert b"CANARY" not in (tmp_path / "labels.nii").read_bytes()


def test_labels_of_a_big_endian_volume_are_written(tmp_path):
    hu = np.full((9, 8, 7), -100, np.int16)
    hu[2:4, 5, 6] = 50
    header = nibabel.Nifti1Header(endianness=">")
    nibabel.save(nibabel.Nifti1Image(hu, oblique(), header), tmp_path / "volume.nii")
    scan = read_nifti_volume(tmp_path / "volume.nii")
    write_nifti_labels(tmp_path / "labels.nii", np.zeros(scan.hu.shape, np.uint8), scan)
    volume, labels = (nibabel.load(tmp_path / f"{name}.nii") for name in ("volume", "labels"))
    assert volume.header.endianness == ">"
    for field in GEOMETRY:
        assert labels.header[field] == pytest.approx(volume.header[field], abs=0), field


def test_labels_of_a_dicom_scan_have_scanner_coordinates(tmp_path):
    write_series(tmp_path / "series")
    scan = read_dicom_series(tmp_path / "series")
    write_nifti_labels(tmp_path / "labels.nii", np.zeros(scan.hu.shape, np.uint8), scan)
    header = nibabel.load(tmp_path / "labels.nii").header
    assert (int(header["qform_code"]), int(header["sform_code"])) == (1, 1)
    np.testing.assert_allclose(header.get_qform(), header.get_sform(), atol=1e-4)
    assert header.get_xyzt_units()[0] == "mm"

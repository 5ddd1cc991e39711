"""qfac 0 counts as 1, and a volume without forms is placed as nibabel places it."""

from __future__ import annotations

import importlib

import nibabel
import numpy as np
import pytest

from liver_tf.ct.nifti_volume import read_nifti_volume
from tests.builders.ct_files import as_lps_file, phantom_hu


def write(path, qfac, sform_code=0):
    """A volume with a qform of this qfac (NIfTI-1, pixdim[0])."""
    stored, affine = as_lps_file(phantom_hu())
    image = nibabel.Nifti1Image(stored, affine)
    image.set_sform(affine, sform_code)
    image.set_qform(affine, 1)
    nibabel.save(image, path)
    data = bytearray(path.read_bytes())
    data[76:80] = np.float32(qfac).tobytes()
    path.write_bytes(data)
    return affine


@pytest.mark.parametrize("sform_code", [0, 1])
@pytest.mark.parametrize("qfac", [1, 0, np.nan, 3])
def test_qfac_0_counts_as_1(tmp_path, qfac, sform_code):
    affine = write(tmp_path / "v.nii", qfac, sform_code)
    scan = read_nifti_volume(tmp_path / "v.nii")
    np.testing.assert_allclose(scan.source.affine, affine, atol=1e-4)
    np.testing.assert_array_equal(scan.hu, phantom_hu())
    assert scan.cautions == ()
    if importlib.util.find_spec("SimpleITK") and qfac in (0, 1):
        import SimpleITK

        image = SimpleITK.ReadImage(str(tmp_path / "v.nii"))
        origin = np.array(image.GetOrigin()) * [-1, -1, 1]
        np.testing.assert_allclose(scan.source.affine[:3, 3], origin, atol=1e-4)


def test_a_negative_qfac_is_negative(tmp_path):
    stored, _ = as_lps_file(phantom_hu())
    affine = np.diag([0.7, -0.8, 2.5, 1.0])  # mirrored: qfac is -1
    image = nibabel.Nifti1Image(stored, affine)
    image.set_sform(None, 0)
    image.set_qform(affine, 1)
    nibabel.save(image, tmp_path / "v.nii")
    scan = read_nifti_volume(tmp_path / "v.nii")
    np.testing.assert_allclose(scan.source.affine, affine, atol=1e-5)


def test_without_forms_all_three_axes_are_named(tmp_path):
    stored, _ = as_lps_file(phantom_hu())
    image = nibabel.Nifti1Image(stored, None)
    image.header["pixdim"][1:4] = 0.7, 0.8, 2.5
    nibabel.save(image, tmp_path / "v.nii")
    scan = read_nifti_volume(tmp_path / "v.nii")
    placed = nibabel.load(tmp_path / "v.nii").affine
    np.testing.assert_allclose(scan.source.affine, placed)
    assert nibabel.aff2axcodes(placed) == ("L", "A", "S")
    (caution,) = scan.cautions
    assert "left, front and head (LAS)" in caution.text

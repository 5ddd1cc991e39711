"""Values that are not HU are recognised by their histogram, whatever a few voxels hold."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest

from liver_tf.ct.dicom_series import read_dicom_series
from liver_tf.ct.hu_plausibility import refuse_implausible_hu
from liver_tf.ct.nifti_volume import read_nifti_volume
from liver_tf.ct.nifti_with_labels import open_nifti_with_labels
from liver_tf.refusals import Refusal
from tests.builders.ct_files import (
    as_lps_file,
    phantom_hu,
    phantom_labels,
    write_nifti,
    write_series,
)

HU = phantom_hu(5, 48, 64).astype(np.float32)


def reading(hu) -> str:
    """``""`` or the code of the refusal."""
    try:
        refuse_implausible_hu(hu, None)
    except Refusal as refusal:
        return refusal.code
    return ""


def one_voxel(hu):
    hu = hu.copy()
    hu[2, 3, 3] = -1
    return hu


def padded(hu, value=-2000):
    hu = hu.copy()
    hu[:, :10] = value
    return hu


@pytest.mark.parametrize(
    ("hu", "code"),
    [
        (HU, ""),
        (padded(HU), ""),
        (padded(HU, -3024), ""),
        (HU[:, 6:16, 4:14] * [[[1]]], "hu-unscaled"),  # a crop of liver alone looks like an MR
        (HU[:, 2:-2, 2:-2] - 160, ""),  # a crop without air
        (HU.clip(-160, 240), ""),
        (HU + 1024, "hu-unscaled"),
        (HU + 1000, "hu-unscaled"),
        (one_voxel(HU + 1100), "hu-unscaled"),
        (padded(HU + 1024), "hu-unscaled"),
        (padded(HU + 1024, -1), "hu-unscaled"),
        (padded(HU + 1024, -1024), "hu-unscaled"),
        ((HU + 1024)[:, 2:-2, 2:-2], "hu-unscaled"),
        (HU - 1024, "hu-unscaled"),
        (HU + 8192, "hu-unscaled"),
        (one_voxel(np.abs(HU)), "hu-unscaled"),
        (one_voxel((HU + 1100) * 4), "hu-unscaled"),
        (HU / 1000, "hu-unscaled"),
        (HU * 100, "hu-impossible"),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_only_hu_are_accepted(hu, code, dtype):
    if dtype == np.int16 and np.abs(hu).max() > 32767:
        pytest.skip("does not fit")
    assert reading(hu.astype(dtype)) == code


def test_a_large_volume_is_judged_as_a_small_one():
    large = np.repeat(np.repeat(HU, 8, 1), 8, 2)
    assert reading(large) == ""
    assert reading(padded(large + 1024)) == "hu-unscaled"


def test_every_reader_refuses_an_offset(tmp_path):
    shifted = (HU + 1024).astype(np.int16)
    shifted[:, :4] = -2000
    volume = write_nifti(tmp_path / "volume.nii", *as_lps_file(shifted))
    labels = write_nifti(tmp_path / "labels.nii", *as_lps_file(phantom_labels(5, 48, 64)))
    write_series(tmp_path / "ct", shifted, lambda dataset, index: pad(dataset))

    def read_pair():
        with open_nifti_with_labels(volume, labels) as pair:
            list(pair.slices())

    for read in (
        lambda: read_nifti_volume(volume),
        read_pair,
        lambda: read_dicom_series(tmp_path / "ct"),
    ):
        with pytest.raises(Refusal, match=r"\[hu-unscaled\]"):
            read()


def pad(dataset):
    dataset.PixelPaddingValue = 48  # -2000 + 2048


def test_an_mr_image_is_refused():
    path = Path(nibabel.__file__).parent / "tests" / "data" / "anatomical.nii"
    if not path.exists():
        pytest.skip("nibabel is installed without its test files")
    with pytest.raises(Refusal, match=r"\[hu-unscaled\].*fat and soft tissue"):
        read_nifti_volume(path)

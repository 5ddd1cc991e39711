"""Files are written atomically and their affine is correct."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from liver_tf.phantom.writers import ORIENTATIONS, write_bytes, write_nifti


def test_the_affine_locates_a_voxel(tmp_path):
    slices = np.zeros((3, 4, 5), np.int16)
    slices[2, 1, 4] = 7
    affine = np.array([[-2.0, 0, 0, 10], [0, -2, 0, 20], [0, 0, 5, 30], [0, 0, 0, 1]])
    for orientation in ORIENTATIONS:
        path = tmp_path / f"{orientation}.nii.gz"
        write_nifti(path, slices, affine, orientation)
        image = nib.load(path)
        assert "".join(nib.aff2axcodes(image.affine)) == orientation
        index = np.argwhere(np.asarray(image.dataobj) == 7)[0]
        # Column 4, row 1, slice 2: 10 - 8, 20 - 2, 30 + 10.
        np.testing.assert_allclose(nib.affines.apply_affine(image.affine, index), [2, 18, 40])


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_bytes(path, b"old")

    def full_disk(descriptor):
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="no space"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"

"""Reading by slices equals reading the entire volume, in any orientation and dtype."""

from __future__ import annotations

import gzip
import tracemalloc

import nibabel
import numpy as np
import pytest
from test_orientation import ALL_48, canonical_truth, stored_with

from liver_tf.ct import nifti_with_labels
from liver_tf.ct.nifti_volume import read_nifti_labels, read_nifti_volume
from liver_tf.ct.nifti_with_labels import open_nifti_with_labels
from liver_tf.refusals import Refusal
from tests.builders.ct_files import (
    as_lps_file,
    phantom_hu,
    phantom_labels,
    write_nifti,
    write_nifti_pair,
)


def read_pair(volume, labels, **options):
    """List of HU (dtypes may differ), stacked labels, and the closed pair."""
    with open_nifti_with_labels(volume, labels, **options) as pair:
        hu, label_slices = zip(*pair.slices(), strict=True)
    return list(hu), np.stack(label_slices), pair


@pytest.mark.parametrize("spill", [False, True])
@pytest.mark.parametrize(("order", "signs"), ALL_48)
def test_any_orientation_is_read_by_slices(tmp_path, order, signs, spill, monkeypatch):
    if spill:
        monkeypatch.setattr(nifti_with_labels, "LARGEST_IN_MEMORY", 0)
    stored, affine = stored_with(order, signs)
    volume = write_nifti(tmp_path / "volume.nii.gz", stored, affine)
    marked = (stored % 3).astype(np.uint8)
    labels = write_nifti(tmp_path / "labels.nii.gz", marked, affine)
    hu, read_labels, pair = read_pair(volume, labels)
    truth = canonical_truth()
    np.testing.assert_array_equal(np.stack(hu), truth)
    np.testing.assert_array_equal(read_labels, truth % 3)
    assert all(slice_hu.dtype == np.int16 for slice_hu in hu)
    np.testing.assert_allclose(pair.spacing_mm, (2.5, 0.8, 0.7), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["<i2", ">i2", "<i4", "<f4", ">f8", "<u2"])
@pytest.mark.parametrize("scaled", [False, True])
def test_any_dtype_and_scale_are_read_by_slices(tmp_path, dtype, scaled):
    slope, inter = (0.5, -1024.0) if scaled else (1.0, -1024.0)
    voxels, affine = as_lps_file(np.rint((phantom_hu() - inter) / slope))
    image = nibabel.Nifti1Image(np.zeros(voxels.shape, np.int16), affine)
    header = nibabel.Nifti1Header(endianness=dtype[0])
    header.set_data_dtype(np.dtype(dtype))
    header.set_data_shape(voxels.shape)
    header.set_sform(image.affine, 1)
    header.set_zooms(image.header.get_zooms())
    header.set_slope_inter(slope, inter)
    header["vox_offset"], header["magic"] = 352, b"n+1"
    data = header.binaryblock + b"\0" * 4 + voxels.astype(dtype).tobytes(order="F")
    volume, labels = tmp_path / "volume.nii.gz", tmp_path / "labels.nii"
    volume.write_bytes(gzip.compress(data))
    write_nifti(labels, *as_lps_file(phantom_labels()))
    hu, read_labels, _ = read_pair(volume, labels)
    volume_scan = read_nifti_volume(volume)
    np.testing.assert_array_equal(np.stack(hu), volume_scan.hu)
    np.testing.assert_array_equal(read_labels, read_nifti_labels(labels, volume_scan)[0])
    expected = np.rint((phantom_hu() - inter) / slope) * slope + inter
    np.testing.assert_array_equal(np.stack(hu), expected)


def test_slices_of_integers_stay_int16_beside_float_slices(tmp_path):
    hu = phantom_hu().astype(np.float32)
    hu[2, 3, 3] += 0.25
    volume = write_nifti(tmp_path / "volume.nii", *as_lps_file(hu))
    labels = write_nifti(tmp_path / "labels.nii", *as_lps_file(phantom_labels()))
    slices, _, _ = read_pair(volume, labels)
    assert [slice_hu.dtype == np.float32 for slice_hu in slices] == [
        False,
        False,
        True,
        False,
        False,
    ]
    np.testing.assert_array_equal(np.stack(slices), hu)


@pytest.mark.parametrize("part", ["volume", "labels"])
def test_damage_after_the_last_slice_is_refused(tmp_path, part):
    """The checksum is at the end, so a reader must not stop at the last voxel."""
    paths = dict(zip(("volume", "labels"), write_nifti_pair(tmp_path), strict=True))
    for name, path in paths.items():
        data = bytearray(gzip.compress(path.read_bytes()))
        if name == part:
            data[-8] ^= 1
        paths[name] = path.with_suffix(".nii.gz")
        paths[name].write_bytes(data)
    with pytest.raises(Refusal, match="nifti-damaged") as caught:
        read_pair(paths["volume"], paths["labels"])
    assert caught.value.path == paths[part]


def test_a_mask_of_another_shape_is_refused_before_voxels_are_read(tmp_path):
    volume, _ = write_nifti_pair(tmp_path)
    other = write_nifti(tmp_path / "other.nii", *as_lps_file(phantom_labels(slices=4)))
    with (
        pytest.raises(Refusal, match=r"\[mask-shape\].*32 x 24 x 5; found 32 x 24 x 4"),
        open_nifti_with_labels(volume, other),
    ):
        pass


def test_hu_are_checked_over_all_slices(tmp_path):
    # A slice without air is accepted; a scan without air is refused.
    hu = np.full((3, 24, 32), 100, np.int16)
    hu[:, 4, 4] = 240
    labels = write_nifti(tmp_path / "labels.nii", *as_lps_file(np.zeros_like(hu, np.uint8)))
    volume = write_nifti(tmp_path / "volume.nii", *as_lps_file(hu))
    with pytest.raises(Refusal, match="hu-unscaled"):
        read_pair(volume, labels)
    hu[1, 0] = -1000
    read_pair(write_nifti(tmp_path / "volume.nii", *as_lps_file(hu)), labels)


def test_memory_does_not_grow_with_the_number_of_slices(tmp_path):
    peaks = []
    for slices in (4, 40):
        hu = np.full((slices, 128, 128), -100, np.int16)
        hu[:, 0, 0] = 600
        volume = write_nifti(tmp_path / "volume.nii.gz", *as_lps_file(hu))
        labels = write_nifti(tmp_path / "l.nii.gz", *as_lps_file(np.zeros_like(hu, np.uint8)))
        with open_nifti_with_labels(volume, labels) as pair:
            tracemalloc.start()
            count = sum(1 for _ in pair.slices())
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        assert count == slices
    # An additional volume in memory would be 36 slices of 32 KiB.
    assert peaks[1] - peaks[0] < 4 * 128 * 128 * 2

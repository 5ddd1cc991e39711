"""NIfTI volumes and label maps: damaged and unusable files are refused or give a caution."""

from __future__ import annotations

import gzip
import os
import struct

import nibabel
import numpy as np
import pytest

from liver_tf.ct.hu_plausibility import mask_cautions
from liver_tf.ct.nifti_file import NiftiFile, read_nifti
from liver_tf.ct.nifti_volume import read_nifti_labels, read_nifti_volume
from liver_tf.ct.nifti_writer import labels_to_nifti, write_nifti_labels
from liver_tf.refusals import Refusal
from tests.builders.ct_files import (
    as_lps_file,
    phantom_hu,
    phantom_labels,
    write_nifti,
    write_nifti_pair,
)


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> bytes:
    volume, _ = write_nifti_pair(tmp_path_factory.mktemp("good"))
    return volume.read_bytes()


def refusal_of(path) -> Refusal:
    with pytest.raises(Refusal) as caught:
        read_nifti_volume(path)
    assert caught.value.path == path
    assert path.stem.split(".")[0] not in caught.value.text()
    return caught.value


def patched(data: bytes, offset: int, form: str, *values) -> bytes:
    """``data`` with header fields at ``offset`` (nifti1.h) replaced."""
    block = struct.pack("<" + form, *values)
    return data[:offset] + block + data[offset + len(block) :]


def test_a_valid_file_is_read(tmp_path, good):
    (tmp_path / "patient.nii").write_bytes(good)
    scan = read_nifti_volume(tmp_path / "patient.nii")
    np.testing.assert_array_equal(scan.hu, phantom_hu())
    assert scan.cautions == ()


def test_a_file_that_is_overwritten_while_it_is_read_is_refused(tmp_path, good):
    """Its voxels would be a mixture of two scans."""
    path = tmp_path / "patient.nii"
    path.write_bytes(good)
    os.utime(path, (1e9, 1e9))
    with NiftiFile(path) as file:
        slabs = file.slabs()
        next(slabs)
        path.write_bytes(good[:500] + good[500:][::-1])
        with pytest.raises(Refusal, match=r"\[file-changed\]"):
            list(slabs)
    assert len(read_nifti(path)[1]) > 0


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (b"", "nifti-header", "does not begin like a NIfTI"),
        (b"slice_id,patient_id\n" * 40, "nifti-header", "does not begin like a NIfTI"),
        (struct.pack("<i", 348) + b"\0" * 100, "nifti-header", "ends within its header"),
        (struct.pack("<i", 348) + b"\0" * 400, "nifti-header", "magic string of a single-file"),
    ],
    ids=["empty", "text", "short-header", "zero-header"],
)
def test_other_files_are_refused(tmp_path, data, code, words):
    (tmp_path / "patient.nii").write_bytes(data)
    refusal = refusal_of(tmp_path / "patient.nii")
    assert refusal.code == code
    assert words in refusal.text()


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    assert refusal_of(tmp_path / "patient.nii").code == "file-missing"
    (tmp_path / "patients.nii").mkdir()
    assert refusal_of(tmp_path / "patients.nii").code == "file-missing"


@pytest.mark.parametrize("keep", [0.5, 0.9, 0.999])
def test_truncated_files_are_refused(tmp_path, good, keep):
    plain, compressed = tmp_path / "patient.nii", tmp_path / "patient.nii.gz"
    plain.write_bytes(good[: int(len(good) * keep)])
    data = gzip.compress(good)
    compressed.write_bytes(data[: int(len(data) * keep)])
    for path in (plain, compressed):
        refusal = refusal_of(path)
        assert refusal.code == "nifti-truncated"
        assert "truncated" in refusal.text()


def test_a_gzip_stream_without_its_checksum_is_refused(tmp_path, good):
    (tmp_path / "patient.nii.gz").write_bytes(gzip.compress(good)[:-4])
    assert refusal_of(tmp_path / "patient.nii.gz").code == "nifti-truncated"


def test_a_wrong_gzip_checksum_is_refused(tmp_path, good):
    packed = bytearray(gzip.compress(good))
    packed[-8] ^= 1
    (tmp_path / "patient.nii.gz").write_bytes(packed)
    refusal = refusal_of(tmp_path / "patient.nii.gz")
    assert refusal.code == "nifti-damaged"
    assert "checksum" in refusal.text()


def test_a_flipped_bit_in_stored_gzip_blocks_is_refused(tmp_path, good):
    packed = bytearray(gzip.compress(good, compresslevel=0))
    packed[len(packed) // 2] ^= 0x40
    (tmp_path / "patient.nii.gz").write_bytes(packed)
    assert refusal_of(tmp_path / "patient.nii.gz").code == "nifti-damaged"


def test_gz_suffix_without_compression_and_vice_versa_are_refused(tmp_path, good):
    (tmp_path / "patient.nii").write_bytes(gzip.compress(good))
    (tmp_path / "other.nii.gz").write_bytes(good)
    for name, words in (("patient.nii", "without .gz"), ("other.nii.gz", "not compressed")):
        refusal = refusal_of(tmp_path / name)
        assert refusal.code == "nifti-misnamed"
        assert words in refusal.text()


@pytest.mark.parametrize(
    ("offset", "form", "values", "code", "words"),
    [
        (40, "4h", (3, 32767, 32767, 32767), "nifti-dimensions", "32767 x 32767 x 32767"),
        (40, "4h", (3, 8000, 8000, 20), "nifti-truncated", "truncated"),
        (40, "4h", (3, 32, -24, 5), "nifti-dimensions", "32 x -24 x 5"),
        (40, "4h", (3, 32, 24, 0), "nifti-dimensions", "32 x 24 x 0"),
        (40, "4h", (3, 32, 24, 4), "nifti-size", "more data"),
        (40, "5h", (2, 32, 24, 5, 1), "nifti-dimensions", "2 dimensions"),
        (40, "5h", (4, 32, 24, 5, 1), "nifti-dimensions", "4 dimensions"),
        (70, "2h", (9999, 16), "nifti-datatype", "unknown datatype"),
        (70, "2h", (32, 64), "nifti-datatype", "complex or colour"),
        (70, "2h", (128, 24), "nifti-datatype", "complex or colour"),
        (70, "2h", (4, 32), "nifti-header", "does not match"),
        (80, "f", (0.0,), "nifti-spacing", "zero"),
        (80, "f", (-0.7,), "nifti-spacing", "negative"),
        (80, "f", (np.nan,), "nifti-spacing", "NaN"),
        (80, "f", (np.inf,), "nifti-spacing", "infinity"),
        (280, "f", (np.nan,), "nifti-affine", "NaN"),
        (280, "12f", (0.0,) * 12, "nifti-affine", "only zeros"),
        (280, "8f", (1, 0, 0, 0) * 2, "nifti-affine", "coincide"),
        (252, "2h", (1, 0), None, None),
        (108, "f", (0.0,), "nifti-offset", "other bytes would be read as voxels"),
        (108, "f", (np.nan,), "nifti-offset", "vox_offset nan"),
        (108, "f", (352.5,), "nifti-offset", "352.5"),
        (112, "2f", (1.0, np.nan), "nifti-scale", "NaN"),
        (112, "2f", (np.inf, 0.0), "nifti-scale", "infinity"),
        (123, "B", (1,), "nifti-units", "metres"),
    ],
)
def test_invalid_header_fields_are_refused(tmp_path, good, offset, form, values, code, words):
    data = patched(good, offset, form, *values)
    for name, content in (("patient.nii", data), ("patient.nii.gz", gzip.compress(data))):
        (tmp_path / name).write_bytes(content)
        if code is None:  # only the qform, in which nibabel stored the same geometry
            np.testing.assert_array_equal(read_nifti_volume(tmp_path / name).hu, phantom_hu())
            continue
        refusal = refusal_of(tmp_path / name)
        assert refusal.code == code
        assert words in refusal.text()


def test_an_impossible_quaternion_is_refused(tmp_path, good):
    data = patched(patched(good, 252, "2h", 1, 0), 256, "3f", 5.0, 5.0, 5.0)
    (tmp_path / "patient.nii").write_bytes(data)
    assert refusal_of(tmp_path / "patient.nii").code == "nifti-affine"


def test_big_endian_and_nifti_2_are_read(tmp_path):
    stored, affine = as_lps_file(phantom_hu())
    big = nibabel.Nifti1Image(stored, affine, nibabel.Nifti1Header(endianness=">"))
    nibabel.save(big, tmp_path / "big.nii.gz")
    nibabel.save(nibabel.Nifti2Image(stored, affine), tmp_path / "two.nii")
    for name in ("big.nii.gz", "two.nii"):
        scan = read_nifti_volume(tmp_path / name)
        np.testing.assert_array_equal(scan.hu, phantom_hu())
        assert scan.hu.dtype == np.int16
        assert scan.hu.dtype.isnative


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinite_voxels_are_refused(tmp_path, value):
    stored, affine = as_lps_file(phantom_hu().astype(np.float32))
    stored[3, 3, 3] = value
    refusal = refusal_of(write_nifti(tmp_path / "patient.nii", stored, affine))
    assert refusal.code == "hu-not-finite"
    assert "NaN or infinite" in refusal.text()


@pytest.mark.parametrize("slope", [0.0, np.nan])
def test_a_slope_of_zero_or_nan_means_unscaled_with_a_caution(tmp_path, good, slope):
    (tmp_path / "patient.nii").write_bytes(patched(good, 112, "f", slope))
    scan = read_nifti_volume(tmp_path / "patient.nii")
    np.testing.assert_array_equal(scan.hu, phantom_hu())
    assert [caution.code for caution in scan.cautions] == ["nifti-no-scale"]


def test_scaled_and_float_files_are_read(tmp_path, good):
    hu = phantom_hu()
    stored, affine = as_lps_file((hu.astype(np.int32) + 1024).astype(np.uint16))
    write_nifti(tmp_path / "offset.nii", stored, affine)
    data = (tmp_path / "offset.nii").read_bytes()
    (tmp_path / "offset.nii").write_bytes(patched(data, 112, "2f", 1.0, -1024.0))
    scan = read_nifti_volume(tmp_path / "offset.nii")
    assert scan.hu.dtype == np.int16
    np.testing.assert_array_equal(scan.hu, hu)

    (tmp_path / "half.nii").write_bytes(patched(good, 112, "2f", 0.5, 0.25))
    scan = read_nifti_volume(tmp_path / "half.nii")
    assert scan.hu.dtype == np.float32
    np.testing.assert_array_equal(scan.hu, hu * np.float32(0.5) + np.float32(0.25))

    write_nifti(tmp_path / "whole.nii", *as_lps_file(hu.astype(np.float64)))
    scan = read_nifti_volume(tmp_path / "whole.nii")
    assert scan.hu.dtype == np.int16
    np.testing.assert_array_equal(scan.hu, hu)


@pytest.mark.parametrize(
    ("hu", "code", "words"),
    [
        (phantom_hu() + 1100, "hu-unscaled", "look unscaled"),
        (phantom_hu() / np.float32(1000), "hu-unscaled", "look unscaled"),
        (phantom_hu().astype(np.float32) * 100, "hu-impossible", "-102000"),
    ],
    ids=["no-value-below-0", "normalised", "scaled-twice"],
)
def test_values_that_cannot_be_hu_are_refused(tmp_path, hu, code, words):
    refusal = refusal_of(write_nifti(tmp_path / "patient.nii", *as_lps_file(hu)))
    assert refusal.code == code
    assert words in refusal.text()


def test_identity_affine_and_lost_orientation_are_cautions(tmp_path, good):
    stored, _ = as_lps_file(phantom_hu())
    write_nifti(tmp_path / "identity.nii", stored, np.eye(4))
    codes = [caution.code for caution in read_nifti_volume(tmp_path / "identity.nii").cautions]
    assert codes == ["nifti-identity-affine"]
    (tmp_path / "none.nii").write_bytes(patched(good, 252, "2h", 0, 0))
    codes = [caution.code for caution in read_nifti_volume(tmp_path / "none.nii").cautions]
    assert codes == ["nifti-no-orientation"]
    (tmp_path / "other.nii").write_bytes(patched(good, 80, "f", 5.0))
    caution = read_nifti_volume(tmp_path / "other.nii").cautions[0]
    assert caution.code == "nifti-spacing-disagrees"
    assert "5 x 0.8 x 2.5" in caution.text


def test_different_sform_and_qform_give_a_caution(tmp_path):
    stored, affine = as_lps_file(phantom_hu())
    image = nibabel.Nifti1Image(stored, affine)
    mirrored = affine.copy()
    mirrored[0] *= -1
    image.set_qform(mirrored, 1)
    image.set_sform(affine, 1)
    nibabel.save(image, tmp_path / "volume.nii")
    scan = read_nifti_volume(tmp_path / "volume.nii")
    assert [caution.code for caution in scan.cautions] == ["nifti-forms-disagree"]
    np.testing.assert_array_equal(scan.affine[:, 3], [11, 12, -300, 1])
    image.set_qform(affine, 1)
    nibabel.save(image, tmp_path / "volume.nii")
    assert read_nifti_volume(tmp_path / "volume.nii").cautions == ()


class TestLabels:
    @pytest.fixture
    def scan(self, tmp_path):
        return read_nifti_volume(write_nifti_pair(tmp_path)[0])

    def write(self, tmp_path, labels, affine=None):
        stored, lps_affine = as_lps_file(labels)
        return write_nifti(
            tmp_path / "mask.nii.gz", stored, lps_affine if affine is None else affine
        )

    def test_labels_have_the_orientation_of_the_scan(self, tmp_path, scan):
        labels, cautions = read_nifti_labels(tmp_path / "segmentation-0.nii", scan)
        assert labels.dtype == np.uint8
        np.testing.assert_array_equal(labels, phantom_labels())
        assert cautions == ()

    def test_another_shape_is_refused(self, tmp_path, scan):
        path = self.write(tmp_path, phantom_labels(slices=6))
        with pytest.raises(Refusal, match=r"\[mask-shape\].*32 x 24 x 5.*32 x 24 x 6"):
            read_nifti_labels(path, scan)

    @pytest.mark.parametrize(
        ("value", "dtype", "words"),
        [
            (3, np.uint8, "also 3"),
            (255, np.uint8, "also 255"),
            (-1, np.int16, "below 0"),
            (256, np.int16, "above 255"),
            (1.5, np.float32, "not a whole number"),
            (np.nan, np.float32, "not a number"),
        ],
    )
    def test_labels_outside_the_set_are_refused(self, tmp_path, scan, value, dtype, words):
        labels = phantom_labels().astype(dtype)
        labels[2, 3, 4] = value
        with pytest.raises(Refusal, match=r"\[mask-labels\].*" + words):
            read_nifti_labels(self.write(tmp_path, labels), scan)

    def test_integer_labels_stored_as_floats_are_read(self, tmp_path, scan):
        path = self.write(tmp_path, phantom_labels().astype(np.float64))
        np.testing.assert_array_equal(read_nifti_labels(path, scan)[0], phantom_labels())

    @pytest.mark.parametrize("highest", [0, 1])
    def test_masks_without_lesion_or_liver_are_read(self, tmp_path, scan, highest):
        labels = np.minimum(phantom_labels(), highest).astype(np.uint8)
        read, cautions = read_nifti_labels(self.write(tmp_path, labels), scan)
        np.testing.assert_array_equal(read, labels)
        assert cautions == ()
        assert mask_cautions(scan.hu, read) == ()

    def test_a_displaced_mask_gives_a_caution(self, scan):
        assert mask_cautions(scan.hu, phantom_labels()) == ()
        shifted = np.roll(phantom_labels(), -6, axis=2)
        cautions = mask_cautions(scan.hu, shifted)
        assert [caution.code for caution in cautions] == ["liver-hu", "lesion-hu"]
        assert "flipped or rotated" in cautions[0].text

    def test_writing_is_atomic(self, tmp_path, scan, monkeypatch):
        target = tmp_path / "out" / "labels.nii.gz"
        target.parent.mkdir()
        write_nifti_labels(target, phantom_labels(), scan)
        before = target.read_bytes()

        def full_disk(image, name):
            with open(name, "wb") as stream:
                stream.write(b"half")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(nibabel, "save", full_disk)
        with pytest.raises(OSError, match="No space left"):
            write_nifti_labels(target, phantom_labels() * 0, scan)
        assert target.read_bytes() == before
        assert [path.name for path in target.parent.iterdir()] == ["labels.nii.gz"]

    def test_the_writer_rejects_invalid_arguments(self, tmp_path, scan):
        with pytest.raises(ValueError, match="expected uint8"):
            labels_to_nifti(phantom_labels().astype(np.int16), scan)
        with pytest.raises(ValueError, match="uint32 of shape"):
            labels_to_nifti(phantom_labels()[1:], scan)
        with pytest.raises(ValueError, match=r"\.nii"):
            write_nifti_labels(tmp_path / "labels.png", phantom_labels(), scan)

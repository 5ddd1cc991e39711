"""NRRD and MetaImage volumes equal the NIfTI of the same scan, and SimpleITK's reading."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from liver_tf.ct.itk_file import read_itk
from liver_tf.ct.mask_file import read_mask
from liver_tf.ct.nifti_volume import read_nifti_labels, read_nifti_volume
from liver_tf.ct.nifti_writer import write_nifti_labels
from liver_tf.prediction.one_scan import read_scan
from liver_tf.refusals import Refusal
from tests.builders.ct_files import as_lps_file, phantom_hu, phantom_labels, write_nifti
from tests.builders.itk_files import meta_image, nrrd
from tests.builders.placed_series import rotation_matrix

FORMATS = {
    "raw.nrrd": lambda stored, affine: nrrd(stored, affine),
    "gzip.nrrd": lambda stored, affine: nrrd(stored, affine, packed=True),
    "big.nrrd": lambda stored, affine: nrrd(stored, affine, ">"),
    "ras.nrrd": lambda stored, affine: nrrd(stored, affine, space="right-anterior-superior"),
    "raw.mha": lambda stored, affine: b"".join(meta_image(stored, affine)),
    "zlib.mha": lambda stored, affine: b"".join(meta_image(stored, affine, packed=True)),
    "big.mha": lambda stored, affine: b"".join(meta_image(stored, affine, ">")),
    "rotation.mha": lambda stored, affine: b"".join(meta_image(stored, affine, matrix="Rotation")),
}


def oblique():
    stored, affine = as_lps_file(phantom_hu())
    turned = np.eye(4)
    turned[:3, :3] = rotation_matrix(7, 2) @ rotation_matrix(4, 0)
    return stored, turned @ affine


@pytest.mark.parametrize("tilted", [False, True])
@pytest.mark.parametrize("dtype", ["i2", "f4"])
@pytest.mark.parametrize("name", FORMATS)
def test_a_volume_equals_the_nifti_of_the_same_scan(tmp_path, name, dtype, tilted):
    stored, affine = oblique() if tilted else as_lps_file(phantom_hu())
    stored = stored.astype(dtype)
    (tmp_path / name).write_bytes(FORMATS[name](stored, affine))
    scan = read_scan(tmp_path / name)
    same = read_nifti_volume(write_nifti(tmp_path / "same.nii", stored, affine))
    np.testing.assert_array_equal(scan.hu, same.hu)
    np.testing.assert_allclose(scan.affine, same.affine, atol=1e-4)
    assert {each.code for each in scan.cautions} == ({"nifti-oblique"} if tilted else set())
    if importlib.util.find_spec("SimpleITK"):
        import SimpleITK

        image = SimpleITK.ReadImage(str(tmp_path / name))
        np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image), stored.T)
        placed = np.diag([-1, -1, 1]) @ np.array(image.TransformIndexToPhysicalPoint((3, 2, 1)))
        np.testing.assert_allclose(placed, (scan.source.affine @ [3, 2, 1, 1])[:3], atol=1e-4)
    write_nifti_labels(tmp_path / "labels.nii", (scan.hu > 75).astype(np.uint8), scan)
    labels, cautions = read_nifti_labels(tmp_path / "labels.nii", same)
    np.testing.assert_array_equal(labels, same.hu > 75)
    assert cautions == ()


def test_files_of_simpleitk_are_read(tmp_path):
    SimpleITK = pytest.importorskip("SimpleITK", reason="pip install 'liver_tf[itk]'")
    stored, affine = as_lps_file(phantom_hu())
    image = SimpleITK.GetImageFromArray(stored.T)
    lps = np.diag([-1, -1, 1, 1]) @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    for suffix in (".nrrd", ".mha", ".mhd"):
        for compressed in (False, True):
            path = tmp_path / f"{compressed}{suffix}"
            SimpleITK.WriteImage(image, str(path), compressed)
            scan = read_scan(path)
            np.testing.assert_array_equal(scan.hu, phantom_hu())
            np.testing.assert_allclose(scan.source.affine, affine, atol=1e-6)


@pytest.mark.parametrize("name", ["gzip.nrrd", "raw.mha"])
def test_a_mask_lies_on_its_volume(tmp_path, name):
    volume = read_nifti_volume(write_nifti(tmp_path / "v.nii", *as_lps_file(phantom_hu())))
    (tmp_path / name).write_bytes(FORMATS[name](*as_lps_file(phantom_labels())))
    labels = read_mask(tmp_path / name, volume, {0: 0, 1: 1, 2: 2})
    np.testing.assert_array_equal(labels, phantom_labels())


def refusal_code(path) -> str:
    with pytest.raises(Refusal) as caught:
        read_itk(path)
    return caught.value.code


@pytest.mark.parametrize("name", FORMATS)
def test_truncated_and_longer_files_are_refused(tmp_path, name):
    path = tmp_path / name
    data = FORMATS[name](*as_lps_file(phantom_hu()))
    for keep in (len(data) - 1, len(data) - 100, len(data) // 2, 300, 100, 20):
        path.write_bytes(data[:keep])
        assert refusal_code(path).startswith("itk-")
    path.write_bytes(data + b"x")
    assert refusal_code(path) in ("itk-size", "itk-damaged")


@pytest.mark.parametrize("name", ["gzip.nrrd", "zlib.mha"])
def test_a_flipped_bit_in_compressed_voxels_is_refused(tmp_path, name):
    """SimpleITK reads the MetaImage without an error."""
    data = FORMATS[name](*as_lps_file(phantom_hu()))
    for place in range(len(data) - 2000, len(data), 97):
        damaged = bytearray(data)
        damaged[place] ^= 1
        (tmp_path / name).write_bytes(damaged)
        assert refusal_code(tmp_path / name) in ("itk-damaged", "itk-size")


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        (b"dimension: 3", b"dimension: 4", ""),
        (b"sizes: 32 24 5", b"sizes: 1 32 24 5", "itk-dimensions"),
        (b"sizes: 32 24 5", b"sizes: 32 24 99999", "itk-dimensions"),
        (b"type: short", b"type: block", "itk-type"),
        (b"encoding: raw", b"encoding: bzip2", "itk-type"),
        (b"space: left-posterior-superior\n", b"", "itk-geometry"),
        (b"space origin: (", b"space origin: (nan", "itk-geometry"),
        (b"space directions: (", b"space directions: none (", "itk-header"),
        (b"endian: little\n", b"", "itk-header"),
        (b"encoding: raw", b"encoding: raw\ndata file: /etc/hostname", "itk-detached"),
    ],
)
def test_unusable_headers_are_refused(tmp_path, before, after, code):
    data = nrrd(*as_lps_file(phantom_hu()))
    assert data.count(before) == 1
    changed = data.replace(before, after)
    if code == "itk-geometry" and b"nan" in after:
        changed = data.replace(b"space origin: (-11", b"space origin: (nan")
    (tmp_path / "v.nrrd").write_bytes(changed)
    if code:
        assert refusal_code(tmp_path / "v.nrrd") == code


def test_voxels_of_a_metaimage_are_beside_its_header(tmp_path):
    header, voxels = meta_image(*as_lps_file(phantom_hu()), file="v.raw")
    (tmp_path / "v.mhd").write_bytes(header)
    assert refusal_code(tmp_path / "v.mhd") == "file-missing"
    (tmp_path / "v.raw").write_bytes(voxels)
    np.testing.assert_array_equal(read_scan(tmp_path / "v.mhd").hu, phantom_hu())
    (tmp_path / "v.mhd").write_bytes(header.replace(b"v.raw", b"../v.raw"))
    assert refusal_code(tmp_path / "v.mhd") == "itk-detached"


@pytest.mark.parametrize(
    "missing", ["TransformMatrix", "Offset", "ElementSpacing", "DimSize", "ElementType"]
)
def test_a_metaimage_without_a_field_is_refused(tmp_path, missing):
    header, voxels = meta_image(*as_lps_file(phantom_hu()))
    lines = [line for line in header.split(b"\n") if not line.startswith(missing.encode())]
    (tmp_path / "v.mha").write_bytes(b"\n".join(lines) + voxels)
    assert refusal_code(tmp_path / "v.mha") == "itk-header"

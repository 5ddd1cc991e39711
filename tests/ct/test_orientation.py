"""Files with any order of axes are read in canonical orientation."""

from __future__ import annotations

import itertools

import nibabel
import numpy as np
import pytest
from PIL import Image

from liver_tf.ct.dicom_slice import read_dicom_slice
from liver_tf.ct.mask_file import read_mask
from liver_tf.ct.nifti_volume import read_nifti_labels, read_nifti_volume
from liver_tf.ct.nifti_writer import write_nifti_labels
from liver_tf.ct.orientation import from_canonical, to_canonical
from tests.builders.ct_files import write_dicom

# Number of voxels, spacing in mm and first voxel centre, along right, anterior, superior.
COUNTS = (7, 6, 5)
SPACING = (0.7, 0.8, 2.5)
ORIGIN = (-20.0, 30.0, 100.0)

ALL_48 = [
    (order, signs)
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]


def mark(x, y, z):
    """HU of the voxel (x, y, z), with indices to the right, anterior and superior."""
    return 100 * np.asarray(x) + 10 * np.asarray(y) + np.asarray(z) - 500


def stored_with(order, signs):
    """[i, j, k] array and affine of a file whose axis ``a`` is world axis ``order[a]``."""
    shape = tuple(COUNTS[world] for world in order)
    index = np.indices(shape)
    world_index = [None] * 3
    affine = np.eye(4)
    affine[:3, :3] = 0
    affine[:3, 3] = ORIGIN
    for axis, (world, sign) in enumerate(zip(order, signs, strict=True)):
        last = COUNTS[world] - 1
        world_index[world] = index[axis] if sign > 0 else last - index[axis]
        affine[world, axis] = sign * SPACING[world]
        if sign < 0:
            affine[world, 3] += last * SPACING[world]
    return mark(*world_index).astype(np.int16), affine


def canonical_truth():
    s, r, c = np.indices((COUNTS[2], COUNTS[1], COUNTS[0]))
    return mark(COUNTS[0] - 1 - c, COUNTS[1] - 1 - r, s)


@pytest.mark.parametrize(("order", "signs"), ALL_48)
def test_nifti_is_read_in_any_orientation_and_labels_are_written_in_that_orientation(
    tmp_path, order, signs
):
    stored, affine = stored_with(order, signs)
    path = tmp_path / "volume.nii"
    nibabel.save(nibabel.Nifti1Image(stored, affine), path)

    scan = read_nifti_volume(path)

    np.testing.assert_array_equal(scan.hu, canonical_truth())
    assert scan.hu.dtype == np.int16
    assert scan.cautions == ()
    np.testing.assert_allclose(scan.spacing_mm, (2.5, 0.8, 0.7), rtol=1e-6)
    # Voxel (1, 2, 3): second slice from below, third row from the front, fourth column from the
    # right, so the world index is (6 - 3, 5 - 2, 1).
    np.testing.assert_allclose(
        scan.affine @ [1, 2, 3, 1], [-20 + 3 * 0.7, 30 + 3 * 0.8, 100 + 2.5, 1], rtol=1e-6
    )

    labels = (np.arange(scan.hu.size) % 3).astype(np.uint8).reshape(scan.hu.shape)
    written = tmp_path / "labels.nii.gz"
    write_nifti_labels(written, labels, scan)
    read_labels, cautions = read_nifti_labels(written, scan)
    np.testing.assert_array_equal(read_labels, labels)
    assert cautions == ()
    image = nibabel.load(written)
    assert image.shape == stored.shape
    np.testing.assert_allclose(image.affine, affine, rtol=1e-6)
    # In the files, a label and its voxel have the same index.
    in_file = {
        (int(hu), int(label))
        for hu, label in zip(stored.ravel(), np.asarray(image.dataobj).ravel(), strict=True)
    }
    in_program = {
        (int(hu), int(label)) for hu, label in zip(scan.hu.ravel(), labels.ravel(), strict=True)
    }
    assert in_file == in_program


AXES_IN_PLANE = [
    (row, column)
    for row, column in itertools.product([(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0)], repeat=2)
    if np.dot(row, column) == 0
]


@pytest.mark.parametrize(("row", "column"), AXES_IN_PLANE)
def test_dicom_slice_and_png_mask_are_read_in_any_in_plane_orientation(tmp_path, row, column):
    # Canonical slice: 6 rows to the posterior, 7 columns to the left, both positive in LPS.
    truth = canonical_truth()[0]
    row, column = np.array(row, float), np.array(column, float)
    size = {0: 7, 1: 6}
    stored_columns = size[int(np.abs(row).argmax())]
    stored_rows = size[int(np.abs(column).argmax())]
    stored = np.empty((stored_rows, stored_columns), np.int16)
    start = np.array([0 if (row + column)[0] > 0 else 6, 0 if (row + column)[1] > 0 else 5])
    for r, c in np.ndindex(stored.shape):
        x, y = (start + c * row[:2] + r * column[:2]).astype(int)
        stored[r, c] = truth[y, x]
    spacing = {0: 0.7, 1: 0.8}

    def change(dataset):
        dataset.ImageOrientationPatient = [*row, *column]
        dataset.PixelSpacing = [
            spacing[int(np.abs(column).argmax())],
            spacing[int(np.abs(row).argmax())],
        ]
        dataset.ImagePositionPatient = [start[0] * 0.7, start[1] * 0.8, 40.0]

    scan = read_dicom_slice(write_dicom(tmp_path / "slice.dcm", stored, change=change))

    np.testing.assert_array_equal(scan.hu[0], truth)
    assert scan.spacing_mm == (2.5, 0.8, 0.7)
    np.testing.assert_allclose(scan.affine @ [0, 2, 3, 1], [-3 * 0.7, -2 * 0.8, 40, 1], atol=1e-6)
    Image.fromarray((stored > -300).astype(np.uint8)).save(tmp_path / "mask.png")
    mask = read_mask(tmp_path / "mask.png", scan, {0: 0, 1: 1})
    np.testing.assert_array_equal(mask[0], truth > -300)


def test_from_canonical_inverts_to_canonical(tmp_path):
    stored, affine = stored_with((1, 2, 0), (-1, 1, -1))
    nibabel.save(nibabel.Nifti1Image(stored, affine), tmp_path / "v.nii")
    grid = read_nifti_volume(tmp_path / "v.nii").source
    np.testing.assert_array_equal(from_canonical(to_canonical(stored, grid), grid), stored)


def test_an_oblique_volume_is_used_as_axial_with_a_caution(tmp_path):
    stored, affine = stored_with((0, 1, 2), (-1, -1, 1))
    angle = np.radians(10)
    tilt = np.eye(4)
    tilt[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    nibabel.save(nibabel.Nifti1Image(stored, tilt @ affine), tmp_path / "v.nii")
    scan = read_nifti_volume(tmp_path / "v.nii")
    np.testing.assert_array_equal(scan.hu, canonical_truth())
    assert [caution.code for caution in scan.cautions] == ["nifti-oblique"]
    assert "10.0 degrees" in scan.cautions[0].text

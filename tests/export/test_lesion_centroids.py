"""Centroids of lesions match voxels and mm for every storage order of the scan."""

from __future__ import annotations

import csv
import json

import nibabel
import numpy as np
import pytest

from liver_tf.ct.dicom_series import read_dicom_series
from liver_tf.ct.dicom_slice import read_dicom_slice
from liver_tf.ct.nifti_volume import read_nifti_volume
from liver_tf.export.algorithm_identity import AlgorithmIdentity
from liver_tf.export.scan_findings import ScanFindings
from liver_tf.export.scan_results import write_results
from liver_tf.inference.lesion_components import LesionComponents
from liver_tf.labels import LESION_TYPES
from tests.builders.lesions import lesions_of
from tests.builders.placed_series import (
    IN_PLANE,
    MARK_HU,
    marked_hu,
    marked_positions,
    rotation_matrix,
    write_placed_series,
)

OTHER_HU = 200
LABEL_OF_HU = {MARK_HU: 3, OTHER_HU: 2}


def results_of(scan, folder):
    labels = (scan.hu == 40).astype(np.uint8)
    for hu, label in LABEL_OF_HU.items():
        labels[scan.hu == hu] = label
    lesions = lesions_of(labels, scan.hu, scan.spacing_mm, LESION_TYPES)
    findings = ScanFindings(scan, labels, lesions, LESION_TYPES)
    write_results(folder, findings, AlgorithmIdentity(), pictures=0)
    with open(folder / "lesions.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return json.loads((folder / "lesions.json").read_text())["lesions"], rows


def numbers_of(point, axes):
    return [point[axis] for axis in axes]


@pytest.mark.parametrize("signs", [(i, j, k) for i in (1, -1) for j in (1, -1) for k in (1, -1)])
@pytest.mark.parametrize("angle", [0, 15])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)], ids=["axial", "turned"])
def test_nifti(tmp_path, signs, angle, order):
    stored = np.ascontiguousarray(marked_hu().transpose(2, 1, 0))
    stored[7:10, 6, 3] = OTHER_HU
    stored = stored.transpose(order)
    affine = np.eye(4)
    steps = np.diag(signs) @ np.diag([0.7, 0.8, 2.5])
    affine[:3, :3] = (rotation_matrix(angle, 0) @ rotation_matrix(angle / 2, 2) @ steps)[:, order]
    affine[:3, 3] = (20, -30, 500)
    nibabel.save(nibabel.Nifti1Image(stored, affine), tmp_path / "volume.nii.gz")
    lesions, rows = results_of(read_nifti_volume(tmp_path / "volume.nii.gz"), tmp_path / "scan")
    image = nibabel.load(tmp_path / "scan" / "lesion_ids.nii.gz")
    volume = nibabel.load(tmp_path / "volume.nii.gz")
    np.testing.assert_array_equal(image.affine, volume.affine)
    for field in ("qform_code", "sform_code", "quatern_b", "srow_x", "srow_y", "xyzt_units"):
        assert image.header[field].tobytes() == volume.header[field].tobytes(), field
    ids = np.asarray(image.dataobj)
    assert ids.dtype == np.uint16
    assert sorted(np.unique(ids)) == [0, 1, 2]
    assert len(lesions) == len(rows) == 2
    for lesion, row in zip(lesions, rows, strict=True):
        hu = MARK_HU if lesion["type"] == "hemangioma" else OTHER_HU
        np.testing.assert_array_equal(ids == lesion["number"], stored == hu)
        middle = np.argwhere(stored == hu).mean(axis=0)
        voxel = numbers_of(lesion["centroid_voxel"], "ijk")
        np.testing.assert_allclose(voxel, middle, atol=0.006)
        mm = nibabel.affines.apply_affine(volume.affine, middle)
        np.testing.assert_allclose(numbers_of(lesion["centroid_mm"], "xyz"), mm, atol=0.006)
        assert lesion["centroid_space"] == row["centroid_space"] == "RAS+"
        assert [float(row[f"centroid_voxel.{axis}"]) for axis in "ijk"] == voxel
        assert float(row["centroid_mm.z"]) == lesion["centroid_mm"]["z"]


PLACES = [
    *((row, column, to_head, None) for row, column in IN_PLANE for to_head in (True, False)),
    (*IN_PLANE[5], False, rotation_matrix(8, 0) @ rotation_matrix(-11, 1) @ rotation_matrix(4, 2)),
]


@pytest.mark.parametrize(("row", "column", "to_head", "rotation"), PLACES)
def test_dicom(tmp_path, row, column, to_head, rotation):
    folder = tmp_path / "series"
    write_placed_series(folder, row, column, to_head=to_head, rotation=rotation)
    (lesion,), _ = results_of(read_dicom_series(folder), tmp_path / "scan")
    true_mm = marked_positions(folder).mean(axis=0)
    np.testing.assert_allclose(numbers_of(lesion["centroid_mm"], "xyz"), true_mm, atol=0.006)
    assert lesion["centroid_space"] == "LPS+"
    # As the slices store them: columns, rows, and slices from the feet.
    stored = marked_hu() if to_head else marked_hu()[::-1]
    middle = np.argwhere(stored == MARK_HU).mean(axis=0)[::-1]
    voxel = numbers_of(lesion["centroid_voxel"], "ijk")
    np.testing.assert_allclose(voxel, middle, atol=0.006)
    ids, labels = (
        nibabel.load(tmp_path / "scan" / name) for name in ("lesion_ids.nii.gz", "labels.nii.gz")
    )
    np.testing.assert_array_equal(ids.affine, labels.affine)
    np.testing.assert_array_equal(np.asarray(ids.dataobj) == 1, np.asarray(labels.dataobj) == 3)


def test_without_geometry_centroids_have_no_mm(tmp_path):
    def change(dataset):
        del dataset.PixelSpacing

    write_placed_series(tmp_path / "series", (1, 0, 0), (0, 1, 0), change=change)
    scan = read_dicom_slice(tmp_path / "series" / "1.dcm")
    (lesion,), (row,) = results_of(scan, tmp_path / "scan")
    assert lesion["centroid_mm"] == {"x": None, "y": None, "z": None}
    assert row["centroid_mm.x"] == ""
    middle = np.argwhere(marked_hu()[1] == MARK_HU).mean(axis=0)
    assert lesion["centroid_voxel"]["i"] == pytest.approx(middle[1], abs=0.006)
    assert lesion["centroid_voxel"]["j"] == pytest.approx(middle[0], abs=0.006)
    assert lesion["centroid_voxel"]["k"] == 0


def test_lesions_of_another_label_map_are_an_error(tmp_path):
    write_placed_series(tmp_path / "series", (1, 0, 0), (0, 1, 0))
    scan = read_dicom_series(tmp_path / "series")
    labels = np.where(scan.hu == MARK_HU, 3, 0).astype(np.uint8)
    with pytest.raises(ValueError, match="expected the 1 of the label map, found 0"):
        ScanFindings(scan, labels, [], LESION_TYPES)


def test_more_lesions_than_16_bits_hold_get_32_bits():
    labels = np.zeros((5, 260, 260), np.uint8)
    labels[::2, ::2, ::2] = 2
    some, many = (
        LesionComponents.of_labels(labels),
        LesionComponents.of_labels(np.tile(labels, (1, 2, 1))),
    )
    assert (some.count, some.dtype) == (3 * 130 * 130, np.uint16)
    assert (many.count, many.dtype) == (3 * 260 * 130, np.uint32)
    numbers = np.zeros(labels.shape, some.dtype)
    some.paint(numbers)
    np.testing.assert_array_equal(numbers[labels > 0], np.arange(1, some.count + 1))

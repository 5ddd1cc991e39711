"""A mask in any orientation lies on the voxels of its volume, as nibabel places both in mm."""

from __future__ import annotations

import itertools

import nibabel
import numpy as np
import pytest
from nibabel.orientations import apply_orientation, inv_ornt_aff

from liver_tf.ct.nifti_volume import read_nifti_labels, read_nifti_volume
from liver_tf.ct.nifti_with_labels import open_nifti_with_labels
from liver_tf.refusals import Refusal
from tests.builders.ct_files import as_lps_file, phantom_hu, phantom_labels, write_nifti

ORIENTATIONS = [
    np.column_stack([order, flips])
    for order in itertools.permutations(range(3))
    for flips in itertools.product([1, -1], repeat=3)
]


def read_both(folder, volume, mask):
    """Labels and codes of cautions, as ``predict`` and as the conversion read them."""
    volume_file = write_nifti(folder / "volume.nii", *volume)
    mask_file = write_nifti(folder / "mask.nii.gz", *mask)
    labels, cautions = read_nifti_labels(mask_file, read_nifti_volume(volume_file))
    with open_nifti_with_labels(volume_file, mask_file) as pair:
        np.testing.assert_array_equal(np.stack([each for _, each in pair.slices()]), labels)
        assert set(pair.cautions) >= set(cautions)
    return labels, [caution.code for caution in cautions]


def refusal_code(folder, volume, mask) -> str:
    with pytest.raises(Refusal) as caught:
        read_both(folder, volume, mask)
    return caught.value.code


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=str)
def test_a_reoriented_mask_is_brought_to_its_volume(tmp_path, orientation):
    stored, affine = as_lps_file(phantom_labels())
    turned = apply_orientation(stored, orientation)
    mask_affine = affine @ inv_ornt_aff(orientation, stored.shape)
    # The oracle: a voxel of the mask is at the same place in mm.
    index = np.argwhere(turned == 2)
    mm = nibabel.affines.apply_affine(mask_affine, index)
    there = np.rint(nibabel.affines.apply_affine(np.linalg.inv(affine), mm)).astype(int)
    assert (stored[tuple(there.T)] == 2).all()
    labels, codes = read_both(tmp_path, as_lps_file(phantom_hu()), (turned, mask_affine))
    np.testing.assert_array_equal(labels, phantom_labels())
    same = np.array_equal(orientation, ORIENTATIONS[0])
    assert codes == ([] if same else ["mask-reoriented"])


def test_an_oblique_volume_and_its_reoriented_mask(tmp_path):
    stored, affine = as_lps_file(phantom_labels())
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]]
    affine = turn @ affine
    orientation = ORIENTATIONS[5]
    mask = apply_orientation(stored, orientation), affine @ inv_ornt_aff(orientation, stored.shape)
    labels, codes = read_both(tmp_path, (as_lps_file(phantom_hu())[0], affine), mask)
    np.testing.assert_array_equal(labels, phantom_labels())
    assert codes == ["mask-reoriented"]


@pytest.mark.parametrize("lost", [np.eye(4), np.diag([-1.0, -1, 1, 1])])
@pytest.mark.parametrize("which", ["mask", "volume"])
def test_a_lost_affine_is_replaced_by_the_order_of_the_voxels(tmp_path, which, lost):
    stored, affine = as_lps_file(phantom_labels())
    hu = as_lps_file(phantom_hu())[0]
    volume_affine, mask_affine = (lost, affine) if which == "volume" else (affine, lost)
    write_nifti(tmp_path / "v.nii", hu, volume_affine)
    write_nifti(tmp_path / "m.nii", stored, mask_affine)
    labels, cautions = read_nifti_labels(tmp_path / "m.nii", read_nifti_volume(tmp_path / "v.nii"))
    assert [caution.code for caution in cautions] == ["mask-other-affine"]
    hu_of_lesion = read_nifti_volume(tmp_path / "v.nii").hu[labels == 2]
    np.testing.assert_array_equal(np.sort(hu_of_lesion), np.sort(hu[stored == 2]))


def test_a_mask_without_any_form_is_laid_on_by_index(tmp_path):
    stored, _ = as_lps_file(phantom_labels())
    image = nibabel.Nifti1Image(stored, None)
    image.header["pixdim"][1:4] = 0.7, 0.8, 2.5
    nibabel.save(image, tmp_path / "m.nii")
    volume = read_nifti_volume(write_nifti(tmp_path / "v.nii", *as_lps_file(phantom_hu())))
    labels, cautions = read_nifti_labels(tmp_path / "m.nii", volume)
    np.testing.assert_array_equal(labels, phantom_labels())
    assert [caution.code for caution in cautions] == ["mask-other-affine"]


def test_rounded_affines_are_accepted_with_a_caution(tmp_path):
    stored, affine = as_lps_file(phantom_labels())
    rounded = affine.copy()
    rounded[0, 3] += 0.03
    labels, codes = read_both(tmp_path, as_lps_file(phantom_hu()), (stored, rounded))
    np.testing.assert_array_equal(labels, phantom_labels())
    assert codes == ["mask-other-affine"]


def moved(affine, mm):
    affine = affine.copy()
    affine[2, 3] += mm
    return affine


def test_a_mask_elsewhere_is_refused(tmp_path):
    stored, affine = as_lps_file(phantom_labels())
    volume = as_lps_file(phantom_hu())
    coarse = affine.copy()
    coarse[:3, :3] *= 1.1
    for other in (
        moved(affine, 2.5),
        moved(affine, 1.0),
        coarse,
        np.diag([0.7, 0.8, 2.5, 1.0]),
        np.diag([-0.7, 0.8, 2.5, 1.0]),
    ):
        assert refusal_code(tmp_path, volume, (stored, other)) == "mask-geometry"


def test_a_permuted_mask_of_another_shape_is_refused(tmp_path):
    stored, affine = as_lps_file(phantom_labels(6))
    orientation = ORIENTATIONS[9]
    mask = apply_orientation(stored, orientation), affine @ inv_ornt_aff(orientation, stored.shape)
    assert refusal_code(tmp_path, as_lps_file(phantom_hu()), mask) == "mask-shape"

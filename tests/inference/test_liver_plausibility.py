"""Cautions on the liver: each raised by its fault alone, none by a usual liver."""

import os
from pathlib import Path

import numpy as np
import pytest

from liver_tf.ct.nifti_volume import read_nifti_labels, read_nifti_volume
from liver_tf.inference.liver_plausibility import liver_cautions, unlike_training

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("LIVER_TF_REAL_DATA", ROOT.parent / "shared" / "data"))
#: 40 x 50 x 60 voxels of 10 x 4 x 4 mm; a box of 20 x 25 x 25 of them has 2,000 ml.
SHAPE, SPACING_MM = (40, 50, 60), (10.0, 4.0, 4.0)
LIVER = np.s_[10:30, 10:35, 5:30]


def scan(liver=LIVER, hu=100.0):
    """A noisy image and a mask that is True in a box."""
    image = np.random.default_rng(0).normal(0, 15, SHAPE).astype(np.float32)
    mask = np.zeros(SHAPE, bool)
    mask[liver] = True
    image[mask] += hu
    return image, mask


def codes(image, mask, network_mask=None, spacing_mm=SPACING_MM):
    network_mask = mask if network_mask is None else network_mask
    return [each.code for each in liver_cautions(image, mask, network_mask, spacing_mm)]


def test_a_usual_liver_has_none():
    assert codes(*scan()) == []
    assert codes(*scan(), spacing_mm=None) == []


def test_no_liver_has_none():
    assert codes(scan()[0], np.zeros(SHAPE, bool)) == []


@pytest.mark.parametrize(("scale", "expected"), [(0.58, True), (0.59, False), (1.25, False)])
def test_volumes_below_400_ml(scale, expected):
    """2,000 ml x 0.58^3 = 390 ml, x 0.59^3 = 411 ml."""
    spacing = tuple(scale * mm for mm in SPACING_MM)
    assert (codes(*scan(), spacing_mm=spacing) == ["liver-volume"]) is expected


def test_the_text_states_the_volume():
    image, mask = scan()
    (caution,) = liver_cautions(image, mask, mask, (10.0, 6.0, 6.0))
    assert caution.code == "liver-volume"
    assert caution.text.startswith("the liver volume is 4500 ml; expected 400 to 4000 ml.")


def test_an_unknown_thickness_leaves_the_volume_unchecked():
    assert codes(*scan(), spacing_mm=(np.nan, 40.0, 40.0)) == []


@pytest.mark.parametrize(
    ("box", "border"),
    [
        (np.s_[0:20, 10:35, 5:30], "lower"),
        (np.s_[20:40, 10:35, 5:30], "upper"),
        (np.s_[10:30, 10:35, 0:25], "right"),
        (np.s_[10:30, 10:35, 35:60], "left"),
        (np.s_[10:30, 0:25, 5:30], "anterior"),
        (np.s_[10:30, 25:50, 5:30], "posterior"),
        (np.s_[0:20, 0:25, 5:30], "anterior and lower"),
        (np.s_[0:20, 0:25, 0:25], "anterior, right and lower"),
    ],
)
def test_a_cut_liver(box, border):
    image, mask = scan(box)
    (caution,) = liver_cautions(image, mask, mask, SPACING_MM)
    assert caution.code == "liver-cut"
    assert f"beyond the {border} border{'s' * (' and ' in border)} of the scan" in caution.text


def test_a_cut_liver_may_be_small():
    image, mask = scan(np.s_[0:3, 10:35, 5:30])  # 300 ml
    assert codes(image, mask) == ["liver-cut"]


def test_a_tip_or_a_touch_at_the_border_is_no_cut():
    image, mask = scan()
    mask[0:10, 20:22, 20:30] = True  # 3 % of the largest area in the first slice
    mask[15, 20:24, 0:5] = True  # 16 mm along the right border
    image[mask] = 100
    assert codes(image, mask) == []


def test_a_single_slice_is_not_cut():
    image, mask = scan()
    assert codes(image[15:16], mask[15:16]) == []


def test_holes_and_parts_of_the_network_mask():
    image, mask = scan()
    network = mask.copy()
    network[12:28, 15:22, 10:18] = False  # 896 of 12,500 voxels: 7 %
    assert codes(image, mask, network) == ["liver-holes"]
    network = mask.copy()
    network[12:20, 40:48, 40:48] = True  # 512 voxels: 4 %
    assert codes(image, mask, network) == []
    network[20:28, 40:48, 40:48] = True
    assert codes(image, mask, network) == ["liver-parts"]


@pytest.mark.parametrize("hu", [-60, 300])
def test_hu_that_are_no_liver(hu):
    assert codes(*scan(hu=hu)) == ["liver-hu"]


def test_a_mask_over_liver_and_lung():
    image, mask = scan()
    image[10:13] = -800  # 15 % of the mask
    assert codes(image, mask) == ["liver-hu"]


def test_a_mask_over_several_organs():
    image, mask = scan()
    image[mask & (np.arange(SHAPE[2]) % 2 == 0)] -= 160
    assert codes(image, mask) == ["liver-hu"]


@pytest.mark.skipif(not (DATA / "chaos_ct3").is_dir(), reason="no real CT (LIVER_TF_REAL_DATA)")
@pytest.mark.parametrize(
    ("folder", "name", "expected"),
    [
        ("chaos_ct3", "3", []),
        # 30 slices of 3 mm: the dome is missing.
        ("totalsegmentator_example", "tsexample", ["liver-cut"]),
    ],
)
def test_outlines_of_real_livers(folder, name, expected):
    volume = read_nifti_volume(DATA / folder / f"volume-{name}.nii.gz")
    labels, _ = read_nifti_labels(DATA / folder / f"segmentation-{name}.nii.gz", volume)
    assert codes(volume.hu, labels > 0, spacing_mm=volume.spacing_mm) == expected


@pytest.mark.parametrize(
    ("mean", "sd", "reported"), [(60, 20, True), (80, 16, False), (200, 30, True)]
)
def test_a_liver_unlike_those_of_training_is_reported(mean, sd, reported):
    hu = np.full((3, 8, 8), -1000, np.int16)
    liver = np.zeros(hu.shape, bool)
    liver[1:, 2:6, 2:6] = True
    hu[liver] = 110
    codes = [caution.code for caution in unlike_training(hu, liver, mean, sd)]
    assert codes == ["liver-training"] * reported
    assert unlike_training(hu, liver & False, mean, sd) == ()

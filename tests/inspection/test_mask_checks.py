"""Mirrored masks are detected, in slices and in scans."""

from __future__ import annotations

from collections import Counter

import nibabel
import numpy as np
import pytest

from liver_tf.conversion.sources import find_lits
from liver_tf.inspection.case_pictures import picture_case, picture_of
from liver_tf.labels import LESION_TYPES
from tests.builders.phantom_sets import KEY
from tests.builders.verify_pages import body_slice


@pytest.mark.parametrize(
    ("mirror", "codes"),
    [
        (None, set()),
        (1, {"liver-hu", "lesion-hu", "liver-side", "mask-mirrored"}),
        (0, {"mask-mirrored"}),
    ],
)
def test_a_mirrored_mask_raises_cautions_and_is_visible(mirror, codes):
    right = picture_of(body_slice(), "", LESION_TYPES)
    picture = picture_of(body_slice(mirror), "", LESION_TYPES)
    raised = {caution.code for caution in picture.cautions}
    assert raised == codes
    assert (picture.outlines == right.outlines) == (mirror is None)
    assert picture.jpeg == right.jpeg


def test_mirrored_masks_of_scans(tiny_phantom, tmp_path):
    for number, axis in ((0, None), (1, None), (10, 0), (21, 1)):
        source = number % 10
        for part in ("volume", "segmentation"):
            image = nibabel.load(tiny_phantom / f"lits/{part}-{source}.nii.gz")
            data = np.asarray(image.dataobj)
            if part == "segmentation" and axis is not None:
                data = np.flip(data, axis)
            nibabel.save(
                nibabel.Nifti1Image(data, image.affine, image.header),
                tmp_path / f"{part}-{number}.nii.gz",
            )
    tasks, _ = find_lits(tmp_path, KEY)
    rows = {task.volume.name: picture_case(task)[0].rows[0] for task in tasks}
    assert rows["volume-0.nii.gz"].cautions == rows["volume-1.nii.gz"].cautions == Counter()
    assert {"mask-mirrored", "liver-side"} <= set(rows["volume-10.nii.gz"].cautions)
    assert "mask-mirrored" in rows["volume-21.nii.gz"].cautions
    assert rows["volume-10.nii.gz"].right_share < 0.3 < 0.7 < rows["volume-0.nii.gz"].right_share

"""Lesions of a small scan, worked by hand."""

import numpy as np
import pytest

from liver_tf.inference.lesions import Lesion, diagnosis, find_lesions
from liver_tf.labels import LESION_TYPES


@pytest.fixture
def scan():
    """Labels and HU [3, 8, 8]: a lesion of 7 voxels in two slices, one of 2 voxels elsewhere."""
    labels = np.zeros((3, 8, 8), np.uint8)
    labels[:, :, :] = 1
    labels[0, 1:3, 1:3] = 2  # 4 voxels of cyst
    labels[1, 3, 3] = labels[1, 3, 4] = labels[1, 4, 4] = 4  # touches by a corner: 3 of metastasis
    labels[2, 7, 0:2] = 3
    hu = np.full(labels.shape, 110, np.int16)
    hu[0, 1:3, 1:3] = [[5, 6], [7, 8]]
    hu[1, 3, 3], hu[1, 3, 4], hu[1, 4, 4] = 60, 61, 62
    hu[2, 7, 0:2] = [150, 171]
    return labels, hu


def test_lesions_worked_by_hand(scan):
    lesions = find_lesions(*scan, (5.0, 0.5, 0.8), LESION_TYPES)
    # A voxel has 5 x 0.5 x 0.8 = 2 mm3, a pixel 0.4 mm2.
    assert lesions == [
        Lesion(1, "cyst", (0, 1), 7, 0.014, 1.6, round((26 + 183) / 7, 1)),
        Lesion(2, "hemangioma", (2, 2), 2, 0.004, 0.8, 160.5),
    ]


def test_unknown_spacing_gives_no_size(scan):
    unknown = [
        (lesion.volume_ml, lesion.area_mm2) for lesion in find_lesions(*scan, None, LESION_TYPES)
    ]
    assert unknown == [(None, None), (None, None)]
    single = find_lesions(*scan, (float("nan"), 0.5, 0.8), LESION_TYPES)
    assert [(lesion.volume_ml, lesion.area_mm2) for lesion in single] == [(None, 1.6), (None, 0.8)]


def test_a_tie_goes_to_the_lower_label(scan):
    labels, hu = scan
    labels[0, 1, 1] = 1
    assert find_lesions(labels, hu, None, LESION_TYPES)[0].type == "cyst"
    labels[0, 2, 1] = 1
    assert find_lesions(labels, hu, None, LESION_TYPES)[0].type == "metastasis"


def test_diagnosis_is_the_majority_of_voxels_and_healthy_without_any(scan):
    labels, hu = scan
    assert diagnosis(labels, LESION_TYPES) == "cyst"
    labels[labels == 2] = 1
    assert diagnosis(labels, LESION_TYPES) == "metastasis"
    labels[labels > 1] = 1
    assert diagnosis(labels, LESION_TYPES) == "healthy"
    assert find_lesions(labels, hu, (1.0, 1.0, 1.0), LESION_TYPES) == []

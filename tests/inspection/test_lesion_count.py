"""Lesions are counted as another library counts them."""

from __future__ import annotations

import numpy as np
import pytest

from liver_tf.inspection.lesion_count import LesionCount


@pytest.mark.parametrize("stacked", [True, False])
def test_counts_agree_with_connected_components_of_another_library(stacked):
    from scipy import ndimage

    rng = np.random.default_rng(3)
    labels = rng.choice(np.array([0, 1, 2, 3], np.uint8), (9, 14, 12), p=[0.5, 0.36, 0.07, 0.07])
    labels[4] = 1  # an empty slice parts what it lies between
    count = LesionCount(stacked)
    for number, slice_labels in enumerate(labels):
        count.add(number, slice_labels, (2, 3))
    eight = np.ones((3, 3), bool)
    expected = sum(
        ndimage.label(labels == label, np.ones((3, 3, 3)))[1]
        if stacked
        else sum(ndimage.label(slice_labels == label, eight)[1] for slice_labels in labels)
        for label in (2, 3)
    )
    assert count.lesions == expected > 10

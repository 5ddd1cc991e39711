"""Small lesions are removed, in volumes and in slices as a graph."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from liver_tf.inference.postprocessing import PostProcessing
from liver_tf.inference.small_lesions import (
    least_pixels,
    without_flat,
    without_small,
    without_small_2d,
)


def test_least_pixels_by_hand():
    how = PostProcessing(least_area_mm2=10.0)
    spacing = [[1.0, 1.0], [0.5, 0.5], [0.8, 0.7], [0.0, 0.0], [np.nan, np.nan], [1.0, 0.3]]
    # 10; 40; 10 / 0.56 = 17.9; 10 / 0.75^2 = 17.8; 10 / 0.3 = 33.3.
    assert least_pixels(tf.constant(spacing), how).numpy().tolist() == [10, 40, 18, 18, 18, 34]


def test_small_lesions_become_liver_or_background():
    labels = np.ones((2, 5, 9), np.uint8)
    labels[:, :, 7:] = 0
    liver = labels == 1
    labels[0, 1, 1:3] = 2  # 2 pixels, but connected
    labels[1, 1:3, 2:5] = 3  # 6 in the next slice: kept together
    labels[0, 4, 5:9] = 4  # 4 pixels, half of them outside the liver
    labels[1, 4, 8] = 2
    kept = without_small(labels, liver, 5)
    expected = liver.astype(np.uint8)
    expected[0, 1, 1:3] = 2
    expected[1, 1:3, 2:5] = 3
    np.testing.assert_array_equal(labels, expected)
    assert kept.tolist() == [True] * 2 + [False] * 4 + [True] * 6 + [False]
    assert not without_small(labels, liver, 7).any()
    np.testing.assert_array_equal(labels, liver)


@pytest.mark.parametrize("seed", range(5))
def test_the_graph_for_slices_equals_numpy(seed):
    generator = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(generator.normal(size=(4, 30, 33)), (0, 1, 1))
    labels = np.where(smooth > 0.2, generator.integers(2, 5, smooth.shape), 1).astype(np.uint8)
    liver = generator.random(labels.shape) < 0.5
    least = np.array([1, 5, 20, 60], np.int32)
    filtered = without_small_2d(tf.constant(labels, tf.int32), tf.constant(liver), least).numpy()
    for index in range(len(labels)):
        alone = labels[index : index + 1].copy()
        without_small(alone, liver[index : index + 1], least[index])
        np.testing.assert_array_equal(filtered[index], alone[0])
    assert (filtered > 1).sum() < (labels > 1).sum()


def test_flat_lesions_are_removed_but_not_at_the_ends_of_the_scan():
    labels = np.zeros((9, 40, 40), np.uint8)
    labels[4, 2:12, 2:12] = 2  # 100 pixels: 11.3 mm wide, 2 mm high.
    labels[3:5, 20:30, 2:12] = 3  # 4 mm high.
    labels[0, 2:12, 20:30] = labels[8, 20:30, 20:30] = 2
    liver = np.ones(labels.shape, bool)
    expected = labels.copy()
    expected[4, 2:12, 2:12] = 1
    kept = without_flat(labels, liver, (2.0, 1.0, 1.0), 0.25)
    np.testing.assert_array_equal(labels, expected)
    # In C order: the first slice, two of the second lesion before the flat one, the last slice.
    assert kept.sum() == 400
    assert len(kept) == 500
    assert not without_flat(labels, liver, (1.0, 2.0, 2.0), 0.25)[100:300].any()
    assert np.count_nonzero(labels > 1) == 200


def test_a_volume_without_lesions_has_no_flat_ones():
    labels = np.ones((3, 4, 4), np.uint8)
    assert len(without_flat(labels, labels > 0, (1.0, 1.0, 1.0), 0.5)) == 0

"""Longest diameters by hand, and against all pairs of corners."""

import itertools

import numpy as np
import pytest
from scipy import ndimage

from liver_tf.inference.diameters import longest_diameters
from liver_tf.inference.pixel_runs import components, runs_of


def measure(mask, pixel_mm=(1.0, 1.0)):
    runs = runs_of(mask, mask.shape)
    names, count = components(runs)
    lengths, slices, ends = longest_diameters(runs, names, count, pixel_mm)
    # The ends are as far apart as stated, and corners of the mask.
    between = np.hypot(*((ends[:, 0] - ends[:, 1]) * pixel_mm).T)
    np.testing.assert_allclose(between, lengths)
    for index, pair in zip(slices, ends, strict=True):
        padded = np.pad(mask[index], 1)
        assert all(padded[row : row + 2, column : column + 2].any() for row, column in pair)
    return lengths.tolist(), slices.tolist()


def by_all_corners(mask, pixel_mm):
    """Of one slice's part: the greatest distance between any two corners of its pixels."""
    corners = {
        (row + down, column + right)
        for row, column in np.argwhere(mask).tolist()
        for down, right in itertools.product((0, 1), (0, 1))
    }
    points = np.array(sorted(corners)) * pixel_mm
    return np.sqrt(((points[:, None] - points[None]) ** 2).sum(-1).max())


def test_a_pixel_and_a_bar_by_hand():
    mask = np.zeros((2, 6, 12), bool)
    mask[0, 1, 1] = True
    assert measure(mask, (3.0, 4.0)) == ([5.0], [0])
    mask[0, 1, 1:12] = True  # 11 pixels of 1 mm, 1 mm high
    assert measure(mask)[0] == [pytest.approx(np.hypot(1, 11))]


def test_a_lesion_is_as_long_as_in_its_longest_slice():
    mask = np.zeros((3, 8, 8), bool)
    mask[0, 2:4, 2:4] = mask[1, 2:5, 2:6] = mask[2, 2:4, 2:4] = True
    assert measure(mask) == ([5.0], [1])  # 3 x 4
    mask[0] = mask[1]  # the first of equal slices
    assert measure(mask) == ([5.0], [0])


def test_parts_of_a_slice_connected_elsewhere_are_measured_separately():
    mask = np.zeros((2, 3, 20), bool)
    mask[0, 1] = True
    mask[1, 1, 0:3] = mask[1, 1, 17:20] = True
    mask[0, 1, 5:15] = False
    assert measure(mask)[0] == pytest.approx([np.hypot(1, 5)] * 2)
    mask[0, 1] = True
    assert measure(mask) == ([pytest.approx(np.hypot(1, 20))], [0])
    mask[1, 1] = mask[0, 1]
    mask[0, 1, 5:15] = False  # the slice without a gap counts
    assert measure(mask) == ([pytest.approx(np.hypot(1, 20))], [1])


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("pixel_mm", [(1.0, 1.0), (0.7, 1.3)])
def test_outlines_of_any_form_equal_all_pairs_of_corners(seed, pixel_mm):
    """Some have more points than are compared without their convex hull."""
    generator = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(generator.normal(size=(3, 60, 70)), (0.5, 4, 4))
    mask = smooth > np.quantile(smooth, 0.8)
    numbered, count = ndimage.label(mask, np.ones((3, 3, 3)))
    in_plane = np.ones((3, 3))
    expected = []
    for number in range(1, count + 1):
        parts = [ndimage.label(labels_of_slice == number, in_plane) for labels_of_slice in numbered]
        lengths = [
            by_all_corners(labelled == part, pixel_mm)
            for labelled, many in parts
            for part in range(1, many + 1)
        ]
        expected.append(max(lengths))
    np.testing.assert_allclose(measure(mask, pixel_mm)[0], expected, rtol=1e-12)

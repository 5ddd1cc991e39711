"""The largest component of a volume against scipy."""

import numpy as np
import pytest
from scipy import ndimage

from liver_tf.inference import largest_component_3d
from liver_tf.inference.largest_component_3d import largest_component
from tests.builders.masks import draw_mask, largest_by_scipy


@pytest.mark.parametrize("most_runs", [0, 10_000], ids=["noise", "runs"])
@pytest.mark.parametrize("seed", range(20))
def test_largest_component_equals_scipy(seed, most_runs, monkeypatch):
    monkeypatch.setattr(largest_component_3d, "MOST_RUNS", most_runs)
    mask = draw_mask(np.random.default_rng(seed), (4, 12, 15))
    expected = largest_by_scipy(mask)
    np.testing.assert_array_equal(largest_component(mask, fill_holes=False), expected)
    filled = np.stack([ndimage.binary_fill_holes(mask) for mask in expected])
    np.testing.assert_array_equal(largest_component(mask), filled)


@pytest.mark.parametrize("most_runs", [0, 10_000], ids=["noise", "runs"])
def test_the_first_of_equal_components_is_kept(most_runs, monkeypatch):
    monkeypatch.setattr(largest_component_3d, "MOST_RUNS", most_runs)
    for seed in range(50):
        mask = np.random.default_rng(seed).random((3, 7, 8)) < 0.08
        np.testing.assert_array_equal(
            largest_component(mask, fill_holes=False), largest_by_scipy(mask)
        )


def test_components_connect_across_slices():
    mask = np.zeros((3, 6, 12), bool)
    mask[0, 1:4, 1:4] = mask[1, 4, 4] = mask[2, 5, 5] = True  # 9 + 1 + 1, connected at corners
    mask[1, 0:2, 7:12] = True  # 10
    kept = largest_component(mask)
    assert kept.sum() == 11
    assert not kept[:, :, 7:].any()


def test_an_empty_mask_stays_empty():
    assert not largest_component(np.zeros((2, 4, 4), bool)).any()

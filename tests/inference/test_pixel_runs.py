"""PixelRuns and their components against scipy and by hand."""

import numpy as np
import pytest
from scipy import ndimage

from liver_tf.inference.pixel_runs import IN_SLICE, IN_VOLUME, components, holes, paint, runs_of


def draw_mask(seed, shape=(4, 11, 13)):
    generator = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(generator.normal(size=shape), generator.uniform(0, 1.2))
    return smooth > np.quantile(smooth, generator.uniform(0.2, 0.95))


def test_runs_by_hand():
    mask = np.zeros((2, 2, 5), bool)
    mask[0, 1] = [1, 1, 0, 0, 1]
    mask[1, 0] = [0, 1, 1, 1, 0]
    runs = runs_of(mask, mask.shape)
    assert runs.line.tolist() == [1, 1, 2]
    assert runs.start.tolist() == [0, 4, 1]
    assert runs.end.tolist() == [2, 5, 4]
    assert runs.slice.tolist() == [0, 0, 1]
    assert runs.row.tolist() == [1, 1, 0]
    assert runs.length.tolist() == [2, 1, 3]
    assert runs_of(mask, mask.shape, limit=3) is not None
    assert runs_of(mask, mask.shape, limit=2) is None


@pytest.mark.parametrize("seed", range(10))
def test_painting_inverts_runs_of_any_strides(seed):
    mask = draw_mask(seed)[::-1, :, ::-2]
    np.testing.assert_array_equal(paint(runs_of(mask, mask.shape)), mask)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("steps", [IN_VOLUME, IN_SLICE])
@pytest.mark.parametrize("corners", [True, False])
def test_components_equal_scipy_and_are_numbered_by_their_first_pixels(seed, steps, corners):
    mask = draw_mask(seed)
    structure = np.ones((3, 3, 3)) if corners else ndimage.generate_binary_structure(3, 1)
    if not corners and steps is IN_VOLUME:
        # By faces between slices too: rows do not step sideways then.
        steps = ((0, 1), (1, 0))
    if steps is IN_SLICE:
        structure[[0, 2]] = 0
    expected, count = ndimage.label(mask, structure)
    runs = runs_of(mask, mask.shape)
    names, number = components(runs, steps, corners=corners)
    assert number == count
    of_pixels = np.repeat(names, runs.length)
    truth = expected[mask]
    # One name for one number, both ways.
    assert len(set(zip(of_pixels.tolist(), truth.tolist(), strict=True))) == count
    first = [np.flatnonzero(of_pixels == name)[0] for name in range(number)]
    assert first == sorted(first)


@pytest.mark.parametrize("seed", range(30))
def test_holes_equal_scipy(seed):
    mask = draw_mask(seed)
    filled = np.stack([ndimage.binary_fill_holes(plane) for plane in mask])
    np.testing.assert_array_equal(paint(holes(runs_of(mask, mask.shape))), filled & ~mask)


def test_an_empty_mask_has_no_runs_no_components_and_no_holes():
    runs = runs_of(np.zeros((2, 3, 4), bool), (2, 3, 4))
    assert len(runs) == 0
    assert components(runs)[1] == 0
    assert len(holes(runs)) == 0
    assert not paint(runs).any()

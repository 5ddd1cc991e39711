"""Distances worked out by hand, and against every pair of surface points."""

import itertools
import math

import numpy as np
import pytest

from liver_tf.measures.surface_distances import surface, surface_distances


def mask(*places, shape=(5, 9)):
    drawn = np.zeros(shape, bool)
    drawn[tuple(np.transpose(places))] = True
    return drawn


def test_two_points_by_hand():
    truth, predicted = mask((1, 2)), mask((4, 6))
    # 3 rows of 2 mm and 4 columns of 1.5 mm apart: hypot(6, 6).
    distances = surface_distances(truth, predicted, (2.0, 1.5))
    assert distances.hd95_mm == pytest.approx(math.hypot(6, 6))
    assert distances.assd_mm == pytest.approx(math.hypot(6, 6))


def test_a_line_and_a_point_by_hand():
    line, point = mask(*((0, column) for column in range(5))), mask((0, 0))
    distances = surface_distances(line, point, (1.0, 3.0))
    # From the line 0, 3, 6, 9, 12 mm, whose 95th percentile lies at rank 0.95 * 4 = 3.8; back 0.
    assert distances.hd95_mm == pytest.approx(9 + 0.8 * 3)
    # The mean of the six distances of both directions.
    assert distances.assd_mm == pytest.approx(30 / 6)
    assert surface_distances(point, line, (1.0, 3.0)) == distances


def test_the_surface_is_the_rim_of_the_mask():
    block = np.zeros((5, 6), bool)
    block[1:5, 1:5] = True
    inner = np.zeros_like(block)
    # The last row of the block lies on the border of the image: outside it is outside the mask.
    inner[2:4, 2:4] = True
    np.testing.assert_array_equal(surface(block), block & ~inner)
    # A corner alone does not open a pixel to the outside.
    block[1, 1] = False
    assert not surface(block)[2, 2]


def test_equal_masks_have_distance_zero():
    block = np.ones((4, 4), bool)
    distances = surface_distances(block, block, (0.7, 0.7))
    assert (distances.hd95_mm, distances.assd_mm) == (0.0, 0.0)


def test_empty_cases():
    none, some = np.zeros((3, 3), bool), np.ones((3, 3), bool)
    for truth, predicted in ((none, some), (some, none), (none, none)):
        assert surface_distances(truth, predicted, (1.0, 1.0)) is None
    assert surface_distances(some, some, None) is None


def every_pair(truth, predicted, spacing_mm):
    """HD95 and ASSD from the distance of every surface point to every other."""

    def points(drawn):
        padded = np.pad(drawn, 1)
        edge = np.zeros_like(drawn)
        for place in zip(*np.nonzero(drawn), strict=True):
            for axis, step in itertools.product(range(drawn.ndim), (-1, 1)):
                beside = [coordinate + 1 for coordinate in place]
                beside[axis] += step
                edge[place] |= not padded[tuple(beside)]
        return np.argwhere(edge) * np.array(spacing_mm)

    gaps = np.linalg.norm(points(truth)[:, None] - points(predicted)[None], axis=-1)
    there, back = gaps.min(axis=1), gaps.min(axis=0)
    return (
        max(np.percentile(there, 95), np.percentile(back, 95)),
        np.mean([*there, *back]),
    )


@pytest.mark.parametrize("shape", [(14, 11), (4, 7, 6)])
def test_agrees_with_all_pairs_of_points(shape):
    rng = np.random.default_rng(5)
    for _ in range(40):
        share = rng.choice([0.03, 0.2, 0.7])
        truth, predicted = rng.random((2, *shape)) < share
        spacing = tuple(rng.uniform(0.4, 3, len(shape)))
        distances = surface_distances(truth, predicted, spacing)
        if not (truth.any() and predicted.any()):
            assert distances is None
            continue
        hd95, assd = every_pair(truth, predicted, spacing)
        assert distances.hd95_mm == pytest.approx(hd95, abs=1e-9)
        assert distances.assd_mm == pytest.approx(assd, abs=1e-9)


def test_refusals():
    some = np.ones((3, 3), bool)
    with pytest.raises(ValueError, match="masks of the same shape"):
        surface_distances(some, some[:2], (1.0, 1.0))
    for spacing in ((1.0,), (1.0, 0.0), (1.0, math.nan)):
        with pytest.raises(ValueError, match="positive spacing"):
            surface_distances(some, some, spacing)

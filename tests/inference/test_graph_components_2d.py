"""Components against scipy; the graph for slices against the library for volumes."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from liver_tf.inference import graph_components_2d
from liver_tf.inference.graph_components_2d import (
    filled,
    largest_component,
    largest_components_2d,
    sections,
    widened,
)


def by_scipy(mask):
    """The largest component of 26 (8) neighbours; of equals that of the first pixel."""
    labelled, count = ndimage.label(mask, np.ones((3,) * mask.ndim))
    if not count:
        return np.zeros_like(mask)
    sizes = [(labelled == number).sum() for number in range(1, count + 1)]
    first = [np.flatnonzero(labelled == number)[0] for number in range(1, count + 1)]
    best = min(range(count), key=lambda index: (-sizes[index], first[index]))
    return labelled == best + 1


def draw_mask(generator, shape):
    noise = generator.normal(size=shape)
    smooth = ndimage.gaussian_filter(noise, generator.uniform(0, 1.5))
    return smooth > np.quantile(smooth, generator.uniform(0.2, 0.95))


@pytest.mark.parametrize("most_runs", [0, 10_000], ids=["noise", "runs"])
@pytest.mark.parametrize("seed", range(20))
def test_volumes_equal_scipy(seed, most_runs, monkeypatch):
    monkeypatch.setattr(graph_components_2d, "MOST_RUNS", most_runs)
    mask = draw_mask(np.random.default_rng(seed), (4, 12, 15))
    expected = by_scipy(mask)
    np.testing.assert_array_equal(largest_component(mask, fill_holes=False), expected)
    filled = np.stack([ndimage.binary_fill_holes(one) for one in expected])
    np.testing.assert_array_equal(largest_component(mask), filled)


@pytest.mark.parametrize("most_runs", [0, 10_000], ids=["noise", "runs"])
def test_of_equal_components_the_first_is_kept(most_runs, monkeypatch):
    monkeypatch.setattr(graph_components_2d, "MOST_RUNS", most_runs)
    for seed in range(50):
        mask = np.random.default_rng(seed).random((3, 7, 8)) < 0.08
        np.testing.assert_array_equal(largest_component(mask, fill_holes=False), by_scipy(mask))


def test_slices_hang_together_through_the_volume():
    mask = np.zeros((3, 6, 12), bool)
    mask[0, 1:4, 1:4] = mask[1, 4, 4] = mask[2, 5, 5] = True  # 9 + 1 + 1, by their corners
    mask[1, 0:2, 7:12] = True  # 10
    kept = largest_component(mask)
    assert kept.sum() == 11
    assert not kept[:, :, 7:].any()


def special_masks():
    """Empty, full, ties, rings, rings in rings, a hole at the border, a diagonal, a snake."""
    empty = np.zeros((14, 17), bool)
    yield empty
    yield ~empty
    tie = empty.copy()
    tie[1:3, 9:12] = tie[8:11, 2:4] = True
    yield tie
    yield tie[::-1, ::-1]
    ring = empty.copy()
    ring[2:9, 2:9] = True
    ring[3:8, 3:8] = False
    yield ring
    nested = ring.copy()
    nested[5, 5] = True
    yield nested
    diagonal_leak = ring.copy()
    diagonal_leak[2, 2] = False  # the hole stays closed to 4 neighbours
    yield diagonal_leak
    border = empty.copy()
    border[0:5, 0:5] = True
    border[0:4, 2] = False
    yield border
    yield np.eye(14, 17, dtype=bool)
    snake = ~empty
    snake[1::4, :-1] = snake[3::4, 1:] = False
    yield snake
    yield np.indices(empty.shape).sum(0) % 2 == 0
    one = empty.copy()
    one[13, 16] = True
    yield one


def test_the_graph_for_slices_equals_the_library_on_200_masks():
    generator = np.random.default_rng(0)
    masks = [*special_masks()]
    masks += [draw_mask(generator, (14, 17)) for _ in range(200 - len(masks))]
    found = largest_components_2d(tf.constant(np.stack(masks))).numpy()
    for number, (mask, one) in enumerate(zip(masks, found, strict=True)):
        np.testing.assert_array_equal(one, largest_component(mask[None])[0], str(number))
        np.testing.assert_array_equal(one, ndimage.binary_fill_holes(by_scipy(mask)), str(number))
    graph = tf.function(largest_components_2d, input_signature=[tf.TensorSpec([None] * 3, tf.bool)])
    np.testing.assert_array_equal(graph(tf.constant(np.stack(masks))), found)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (2, 2), (3, 3)])
def test_tiny_slices(shape):
    size = int(np.prod(shape))
    numbers = np.arange(2**size)
    masks = (numbers[:, None] >> np.arange(size) & 1).astype(bool).reshape(-1, *shape)
    found = largest_components_2d(tf.constant(masks)).numpy()
    for mask, one in zip(masks, found, strict=True):
        np.testing.assert_array_equal(one, ndimage.binary_fill_holes(by_scipy(mask)))


def test_sections_and_holes_equal_scipy():
    generator = np.random.default_rng(1)
    masks = np.stack([*special_masks(), *(draw_mask(generator, (14, 17)) for _ in range(60))])
    expected = np.zeros(masks.shape, np.int32)
    for mask, sizes in zip(masks, expected, strict=True):
        labelled, _ = ndimage.label(mask, np.ones((3, 3)))
        sizes[mask] = np.bincount(labelled.ravel())[labelled[mask]]
    np.testing.assert_array_equal(sections(tf.constant(masks)), expected)
    holes_filled = np.stack([ndimage.binary_fill_holes(mask) for mask in masks])
    np.testing.assert_array_equal(filled(tf.constant(masks)), holes_filled)


def test_empty_masks_stay_empty():
    assert not largest_component(np.zeros((2, 4, 4), bool)).any()
    assert not largest_components_2d(tf.zeros([2, 4, 4], tf.bool)).numpy().any()


def test_widening_equals_scipy():
    mask = draw_mask(np.random.default_rng(3), (14, 17))
    mask[3:, :] = False
    expected = ndimage.binary_dilation(mask, np.ones((5, 5)))
    np.testing.assert_array_equal(widened(tf.constant(mask[None]), 2)[0], expected)

"""Components of slices as a graph, against NumPy and scipy."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from liver_tf.inference.graph_components_2d import (
    component_sizes,
    fill_holes,
    grown,
    largest_components_2d,
)
from liver_tf.inference.largest_component_3d import largest_component
from tests.builders.masks import draw_mask, largest_by_scipy


def special_masks():
    """Empty, full, ties, rings, rings in rings, a notch at the border, a diagonal, a snake."""
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
    single_pixel = empty.copy()
    single_pixel[13, 16] = True
    yield single_pixel


def test_the_graph_equals_numpy_and_scipy_on_200_masks():
    generator = np.random.default_rng(0)
    masks = [*special_masks()]
    masks += [draw_mask(generator, (14, 17)) for _ in range(200 - len(masks))]
    largest = largest_components_2d(tf.constant(np.stack(masks))).numpy()
    for number, (mask, kept) in enumerate(zip(masks, largest, strict=True)):
        np.testing.assert_array_equal(kept, largest_component(mask[None])[0], str(number))
        by_scipy = ndimage.binary_fill_holes(largest_by_scipy(mask))
        np.testing.assert_array_equal(kept, by_scipy, str(number))
    graph = tf.function(largest_components_2d, input_signature=[tf.TensorSpec([None] * 3, tf.bool)])
    np.testing.assert_array_equal(graph(tf.constant(np.stack(masks))), largest)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (2, 2), (3, 3)])
def test_tiny_slices(shape):
    size = int(np.prod(shape))
    numbers = np.arange(2**size)
    masks = (numbers[:, None] >> np.arange(size) & 1).astype(bool).reshape(-1, *shape)
    largest = largest_components_2d(tf.constant(masks)).numpy()
    for mask, component in zip(masks, largest, strict=True):
        np.testing.assert_array_equal(component, ndimage.binary_fill_holes(largest_by_scipy(mask)))


def test_component_sizes_and_filled_holes_equal_scipy():
    generator = np.random.default_rng(1)
    masks = np.stack([*special_masks(), *(draw_mask(generator, (14, 17)) for _ in range(60))])
    expected = np.zeros(masks.shape, np.int32)
    for mask, sizes in zip(masks, expected, strict=True):
        labelled, _ = ndimage.label(mask, np.ones((3, 3)))
        sizes[mask] = np.bincount(labelled.ravel())[labelled[mask]]
    np.testing.assert_array_equal(component_sizes(tf.constant(masks)), expected)
    holes_filled = np.stack([ndimage.binary_fill_holes(mask) for mask in masks])
    np.testing.assert_array_equal(fill_holes(tf.constant(masks)), holes_filled)


def test_empty_masks_stay_empty():
    assert not largest_components_2d(tf.zeros([2, 4, 4], tf.bool)).numpy().any()


@pytest.mark.parametrize("pixels", [2, 1, 0, -1, -2])
def test_growing_and_shrinking_equal_scipy(pixels):
    mask = ndimage.binary_dilation(draw_mask(np.random.default_rng(3), (24, 17)), np.ones((3, 3)))
    mask[3:8, :] = False
    structure = np.ones((2 * abs(pixels) + 1,) * 2)
    if pixels < 0:
        expected = ndimage.binary_erosion(mask, structure, border_value=1)
    else:
        expected = ndimage.binary_dilation(mask, structure)
    assert 0 < expected.sum() < mask.size
    np.testing.assert_array_equal(grown(tf.constant(mask[None]), pixels)[0], expected)

"""Resampling to the grid of the network and back, compared with Pillow, scipy and plain loops."""

import math

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from scipy import ndimage

from liver_tf.pipeline import resample

BOXES = [(4, 3, 20), (0, 0, 30), (-6, -4, 24), (20, 22, 30), (10.5, 7.25, 9.5), (-9, 2, 50)]


def take(image, box, size):
    return resample.take_region(tf.constant(image)[None], tf.constant([box], tf.float32), size)[0]


def slow_axis_weights(start, length, inputs, outputs):
    """Weights by definition: a triangle filter of half-width one step, at least one pixel."""
    weights = np.zeros((outputs, inputs))
    step = length / outputs
    reach = max(step, 1.0)
    for output in range(outputs):
        centre = start + (output + 0.5) * step - 0.5
        heights = {
            pixel: max(0.0, 1 - abs(pixel - centre) / reach)
            for pixel in range(math.floor(centre - reach), math.ceil(centre + reach) + 1)
        }
        for pixel, height in heights.items():
            if 0 <= pixel < inputs:
                weights[output, pixel] = height / sum(heights.values())
    return weights


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).uniform(0, 400, (30, 36)).astype(np.float32)


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("size", [8, 20, 48])
def test_taking_a_region_equals_the_definition(image, box, size):
    row, column, side = box
    by_rows = slow_axis_weights(row, side, 30, size)
    by_columns = slow_axis_weights(column, side, 36, size)
    expected = by_rows @ image.astype(np.float64) @ by_columns.T
    np.testing.assert_allclose(take(image, box, size), expected, atol=0.02)


@pytest.mark.parametrize(("side", "size"), [(20, 8), (20, 48), (12, 12), (18, 7), (9.5, 16)])
def test_taking_a_region_equals_pillow_away_from_the_border(side, size):
    image = np.random.default_rng(1).uniform(0, 400, (60, 60)).astype(np.float32)
    row, column = 17.0, 21.5
    box = (column, row, column + side, row + side)
    expected = Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR, box)
    np.testing.assert_allclose(take(image, (row, column, side), size), expected, atol=0.02)


def test_every_slice_of_a_batch_has_its_own_box(image):
    batch = np.stack([image, image[::-1].copy()])
    boxes = np.float32([BOXES[0], BOXES[2]])
    both = resample.take_region(tf.constant(batch), tf.constant(boxes), 20)
    for index in (0, 1):
        np.testing.assert_allclose(both[index], take(batch[index], boxes[index], 20), atol=1e-3)


def test_a_box_of_the_network_size_is_copied_with_zeros_outside_the_slice(image):
    copied = take(image, (2, 5, 20), 20)
    np.testing.assert_array_equal(copied, image[2:22, 5:25])
    overlapping = take(image, (-4, 30, 20), 20).numpy()
    np.testing.assert_array_equal(overlapping[4:, :6], image[:16, 30:])
    assert not overlapping[:4].any()
    assert not overlapping[:, 6:].any()


def test_enlarging_a_linear_ramp_gives_the_ramp():
    row, column = np.mgrid[:30, :30]
    ramp = (3.0 * row + 2.0 * column).astype(np.float32)
    taken = take(ramp, (5, 7, 10), 40).numpy()
    positions = (np.arange(40) + 0.5) / 4 - 0.5
    expected = 3.0 * (positions[:, None] + 5) + 2.0 * (positions[None, :] + 7)
    np.testing.assert_allclose(taken, expected, rtol=1e-5)


def put(maps, box, rows, columns):
    box = tf.constant([box], tf.float32)
    return resample.put_back(tf.constant(maps)[None], box, rows, columns)[0].numpy()


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("size", [8, 20, 48])
def test_probabilities_sum_to_one_inside_the_box_and_are_zero_outside(box, size):
    logits = np.random.default_rng(2).normal(size=(size, size, 4)).astype(np.float32)
    maps = tf.nn.softmax(logits).numpy()
    back = put(maps, box, 30, 36)
    row, column = np.arange(30) + 0.5, np.arange(36) + 0.5
    inside = ((row >= box[0]) & (row <= box[0] + box[2]))[:, None] & (
        (column >= box[1]) & (column <= box[1] + box[2])
    )
    np.testing.assert_allclose(back.sum(-1)[inside], 1.0, atol=1e-4)
    assert not back[~inside].any()
    assert inside.any()


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("size", [8, 20, 48])
def test_putting_maps_back_equals_scipy(box, size):
    maps = np.random.default_rng(3).uniform(size=(size, size, 2)).astype(np.float32)
    back = put(maps, box, 30, 36)
    row = (np.arange(30) + 0.5 - box[0]) * size / box[2] - 0.5
    column = (np.arange(36) + 0.5 - box[1]) * size / box[2] - 0.5
    inside = (np.abs(row - (size - 1) / 2) <= size / 2)[:, None] & (
        np.abs(column - (size - 1) / 2) <= size / 2
    )
    positions = np.stack(np.meshgrid(row, column, indexing="ij"))
    for channel in (0, 1):
        expected = ndimage.map_coordinates(
            maps[..., channel].astype(np.float64), positions, order=1, mode="nearest"
        )
        np.testing.assert_allclose(back[..., channel], expected * inside, atol=2e-4)


def test_a_round_trip_changes_a_smooth_slice_little(image):
    smooth = ndimage.gaussian_filter(image, 4).astype(np.float32)
    box = (3, 4, 24)
    back = put(take(smooth, box, 32).numpy()[..., None], box, 30, 36)[..., 0]
    np.testing.assert_allclose(back[3:27, 4:28], smooth[3:27, 4:28], atol=smooth.std() / 10)
    same = put(take(smooth, box, 24).numpy()[..., None], box, 30, 36)[..., 0]
    np.testing.assert_array_equal(same[3:27, 4:28], smooth[3:27, 4:28])


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("size", [8, 20, 48])
def test_labels_are_those_of_the_nearest_pixel(box, size):
    labels = np.random.default_rng(4).choice([0, 2, 7], (30, 36)).astype(np.uint8)
    taken = resample.take_labels(tf.constant(labels), tf.constant(box, tf.float32), size)
    expected = np.zeros((size, size), np.uint8)
    for i in range(size):
        for j in range(size):
            row = math.floor(box[0] + (i + 0.5) * box[2] / size)
            column = math.floor(box[1] + (j + 0.5) * box[2] / size)
            if 0 <= row < 30 and 0 <= column < 36:
                expected[i, j] = labels[row, column]
    # Rounding may change a few pixels on the borders of labels.
    assert (taken.numpy() != expected).mean() < 0.01
    assert set(np.unique(taken)) <= {0, 2, 7}
    assert taken.dtype == tf.uint8


def test_labels_of_the_network_size_are_copied():
    labels = np.random.default_rng(4).integers(0, 5, (30, 36)).astype(np.uint8)
    taken = resample.take_labels(tf.constant(labels), tf.constant([2.0, 5.0, 20.0]), 20)
    np.testing.assert_array_equal(taken, labels[2:22, 5:25])


def test_image_and_labels_are_aligned():
    """The nearest-neighbour label of a disc covers the filtered disc."""
    row, column = np.mgrid[:60, :60]
    disc = np.hypot(row - 22.0, column - 35.0) < 12
    box = (5.0, 10.0, 44.0)
    taken = take(np.float32(disc), box, 96).numpy() > 0.5
    labels = resample.take_labels(tf.constant(disc, tf.uint8), tf.constant(box), 96).numpy() == 1
    overlap = 2 * (taken & labels).sum() / (taken.sum() + labels.sum())
    assert overlap > 0.98
    np.testing.assert_allclose(
        ndimage.center_of_mass(taken), ndimage.center_of_mass(labels), atol=0.15
    )


@pytest.mark.parametrize(
    ("rows", "columns", "expected"),
    [(32, 32, [0, 0, 32]), (20, 30, [-5, 0, 30]), (30, 21, [0, -4.5, 30]), (1, 1, [0, 0, 1])],
)
def test_box_of_an_entire_slice(rows, columns, expected):
    box = resample.whole_slice_box(tf.constant(rows), tf.constant(columns))
    np.testing.assert_array_equal(box, np.float32(expected))


def test_a_graph_of_unknown_sizes_gives_the_same_result(image):
    signature = [tf.TensorSpec([None] * 3), tf.TensorSpec([None, 3])]
    graph = tf.function(lambda i, b: resample.take_region(i, b, 20), input_signature=signature)
    boxes = tf.constant([BOXES[4]], tf.float32)
    np.testing.assert_allclose(
        graph(tf.constant(image)[None], boxes)[0], take(image, BOXES[4], 20), rtol=1e-6
    )

"""Augmentation transforms image and labels together and gives the same result on any device."""

import math
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from liver_tf.pipeline.augmentation import augment
from liver_tf.pipeline.augmentation.ranges import NO_AUGMENTATION, Ranges
from tests.builders.augment_cases import (
    EVERYTHING,
    IDENTITY,
    WINDOW,
    apply,
    draw_batch,
    make_slices,
    parameters,
)

LOW = WINDOW[0]
SHAPE_ONLY = Ranges(20.0, 0.2, 0.1, 0.5, 0.0, 0.0, 0.0)

#: All kinds are computed, but change nothing.
NO_EFFECT = replace(
    Ranges(0.0, 0.0, 0.0, 0.0, 1e-30, 0.0, 0.0), elastic=1e-30, gamma=1e-30, blur_pixels=1e-30
)


@pytest.mark.parametrize(
    "size",
    [(33, 17), *(pytest.param(size, marks=pytest.mark.long) for size in ((24, 32), (512, 512)))],
)
@pytest.mark.parametrize(
    "ranges",
    [pytest.param(NO_AUGMENTATION, marks=pytest.mark.long), replace(NO_EFFECT, kept_from=1)],
)
def test_identity_changes_no_bit(size, ranges):
    images, labels = make_slices(2, *size)
    moved, moved_labels = apply(images, labels, draw_batch(ranges, range(2)))
    assert moved.tobytes() == images.tobytes()
    assert moved_labels.tobytes() == labels.tobytes()


@pytest.mark.long
def test_kinds_switched_off_are_neither_drawn_nor_computed():
    always = {"transform", "gain", "offset_hu"}
    assert set(draw_batch(NO_AUGMENTATION, [0])) == always
    assert set(draw_batch(Ranges(), [0])) == always | {"noise_seed", "noise_hu"}
    optional = {"noise_seed", "noise_hu", "elastic", "gamma", "blur", "curve", "kept_from"}
    everything = always | optional
    assert set(draw_batch(EVERYTHING, [0])) == everything

    def kinds_of_nodes(ranges):
        """Operations in the graph that is compiled, including called functions."""
        images, labels = make_slices(1)
        graph = tf.function(lambda i, m: augment.apply(i, m, draw_batch(ranges, [0]), WINDOW))
        definition = graph.get_concrete_function(images, labels).graph.as_graph_def()
        operations = [
            node.op for function in definition.library.function for node in function.node_def
        ]
        return set(operations)

    optional_ops = {"Log", "Einsum", "MirrorPad", "Min"}
    assert not kinds_of_nodes(NO_AUGMENTATION) & optional_ops
    assert kinds_of_nodes(EVERYTHING) >= optional_ops


def test_a_batch_has_the_parameters_of_its_examples():
    examples = [3, 0, 2**61]
    single = draw_batch(EVERYTHING, examples, 2, 5)
    batched = augment.draw(2, tf.constant(5), tf.constant(examples, tf.int64), EVERYTHING)
    assert set(batched) == set(single)
    for name, values in single.items():
        assert batched[name].dtype == values.dtype
        np.testing.assert_allclose(batched[name], values, rtol=1e-5, atol=1e-7, err_msg=name)


def test_switching_on_one_kind_does_not_change_another():
    plain, more = draw_batch(Ranges(), range(3)), draw_batch(EVERYTHING, range(3))
    for name, values in plain.items():
        np.testing.assert_array_equal(values, more[name], err_msg=name)


def test_flip_shift_and_quarter_turns_equal_numpy():
    images, labels = make_slices(1, 24, 24)
    air = np.full_like(images, LOW)
    flipped = apply(images, labels, parameters([-1, 0, 0, 0, 1, 0]))
    np.testing.assert_array_equal(flipped[0], images[:, :, ::-1])
    np.testing.assert_array_equal(flipped[1], labels[:, :, ::-1])
    # A quarter turn: rows of the output are columns of the input.
    turned = apply(images, labels, parameters([0, -1, 0, 1, 0, 0]))
    np.testing.assert_allclose(turned[0], np.rot90(images, 1, (1, 2))[:, :, :], atol=1e-3)
    np.testing.assert_array_equal(turned[1], np.rot90(labels, 1, (1, 2)))
    # Shift by 3 columns and 6 rows of 24: pixels from outside are air and background.
    shifted = apply(images, labels, parameters([1, 0, 3 / 24, 0, 1, -6 / 24]))
    expected = air.copy()
    expected[:, 6:, :-3] = images[:, :-6, 3:]
    np.testing.assert_allclose(shifted[0], expected, atol=1e-3)
    expected_labels = np.zeros_like(labels)
    expected_labels[:, 6:, :-3] = labels[:, :-6, 3:]
    np.testing.assert_array_equal(shifted[1], expected_labels)


def test_drawn_transforms_equal_scipy():
    images, labels = make_slices(8, 24, 32)
    drawn = draw_batch(SHAPE_ONLY, range(8))
    moved, moved_labels = apply(images, labels, drawn)
    centre = np.array([23 / 2, 31 / 2])
    for index, (a, b, c, d, e, f) in enumerate(drawn["transform"].numpy().astype(np.float64)):
        # scipy maps (row, column) of the output to the input.
        matrix = np.array([[e, d], [b, a]])
        offset = centre + np.array([f * 24, c * 32]) - matrix @ centre
        expected = ndimage.affine_transform(
            images[index].astype(np.float64),
            matrix,
            offset,
            order=1,
            mode="grid-constant",
            cval=LOW,
        )
        np.testing.assert_allclose(moved[index], expected, atol=0.05)
        expected = ndimage.affine_transform(
            labels[index], matrix, offset, order=0, mode="grid-constant", cval=0
        )
        output = np.stack(np.mgrid[:24, :32]).reshape(2, -1)
        source = (matrix @ output + offset[:, None]).reshape(2, 24, 32)
        ties = (np.abs(source - np.floor(source) - 0.5) < 1e-3).any(axis=0)
        assert ties.mean() < 0.1
        np.testing.assert_array_equal(moved_labels[index][~ties], expected[~ties])


def test_drawn_transforms_combine_rotation_zoom_flip_and_shift_within_their_ranges():
    drawn = draw_batch(Ranges(), range(400))
    a, b, c, d, e, f = drawn["transform"].numpy().astype(np.float64).T
    mirror = np.sign(a)
    zoom = 1 / np.hypot(d, e)
    angle = np.degrees(np.arctan2(d, e))
    # a and b follow from d and e: there is no shear.
    np.testing.assert_allclose(a, mirror * e, rtol=1e-6)
    np.testing.assert_allclose(b, -mirror * d, rtol=1e-6)
    spread = {
        "rotation": (angle, 15.0),
        "zoom": (zoom - 1, 0.15),
        "columns": (c, 0.08),
        "rows": (f, 0.08),
        "gain": (drawn["gain"].numpy() - 1, 0.1),
        "offset": (drawn["offset_hu"].numpy(), 12.0),
        "noise": (2 * drawn["noise_hu"].numpy() - 12.0, 12.0),
    }
    for name, (values, limit) in spread.items():
        assert np.abs(values).max() <= limit * (1 + 1e-5), name
        assert np.abs(values).max() > 0.95 * limit, name
        # A uniform distribution has mean 0 and SD limit / sqrt(3); tolerance: 4 standard errors.
        assert abs(values.mean()) < 4 * limit / math.sqrt(3 * 400), name
        assert values.std() == pytest.approx(limit / math.sqrt(3), rel=0.1), name
    assert (mirror < 0).mean() == pytest.approx(0.5, abs=0.1)
    table = np.stack([values for values, _ in spread.values()])
    correlation = np.corrcoef(np.concatenate([table, mirror[None]]))
    assert np.abs(correlation - np.eye(8)).max() < 0.2


def test_parameters_depend_on_seed_epoch_and_example_only():
    def transform(seed, epoch, example):
        drawn = augment.draw(seed, tf.constant(epoch), tf.constant(example, tf.int64), Ranges())
        return tuple(drawn["transform"].numpy())

    keys = [(s, e, x) for s in (0, 1, 2**31) for e in (0, 1, 2) for x in (0, 1, 2**62 - 1)]
    once = {key: transform(*key) for key in keys}
    assert len(set(once.values())) == len(keys)
    assert {key: transform(*key) for key in reversed(keys)} == once


@pytest.mark.parametrize(
    "ranges", [pytest.param(EVERYTHING, marks=pytest.mark.long), Ranges()], ids=["all", "default"]
)
def test_same_pixels_eagerly_in_a_graph_and_in_a_parallel_map(ranges):
    images, labels = make_slices(6)
    examples = np.array([5, 8, 2**60, 1, 0, 77])
    drawn = draw_batch(ranges, examples, 9, 4)

    def of_slices(image, label, example):
        row = augment.draw(9, tf.constant(4), example, ranges)
        return image, label, row

    def of_batch(image, label, rows):
        return augment.apply(image, label, rows, WINDOW)

    eager = apply(images, labels, drawn)
    signature = [tf.TensorSpec([None] * 3), tf.TensorSpec([None] * 3, tf.uint8)]
    graph = tf.function(lambda i, m: augment.apply(i, m, drawn, WINDOW), input_signature=signature)
    slices = tf.data.Dataset.from_tensor_slices((images, labels, examples)).map(of_slices, 4)
    mapped = slices.batch(6).map(of_batch, num_parallel_calls=4, deterministic=True)
    for other in (graph(images, labels), mapped.get_single_element()):
        np.testing.assert_array_equal(other[0], eager[0])
        np.testing.assert_array_equal(other[1], eager[1])
    # Batches of another size use another program, so the last bit may differ.
    mapped = slices.batch(3).map(of_batch, num_parallel_calls=4, deterministic=True)
    other = [np.concatenate(part) for part in zip(*mapped.as_numpy_iterator(), strict=True)]
    np.testing.assert_allclose(other[0], eager[0], atol=0.01)
    np.testing.assert_array_equal(other[1], eager[1])


@pytest.mark.long
@pytest.mark.parametrize(
    "ranges",
    [
        SHAPE_ONLY,
        replace(SHAPE_ONLY, elastic=0.06, kept_from=1),
    ],
)
def test_image_and_labels_move_together(ranges):
    """The label is a threshold of the image, also after the transform, except at its edge."""
    image = np.full((1, 64, 64), -100, np.float32)
    image[0, 20:44, 16:30] = 150
    image[0, 36:44, 30:52] = 150
    label = (image > 25).astype(np.uint8)
    square = np.ones((3, 3), bool)
    drawn = draw_batch(ranges, range(12))
    for moved, moved_label in zip(
        *apply(image.repeat(12, 0), label.repeat(12, 0), drawn), strict=True
    ):
        mask = moved_label == 1
        assert moved[ndimage.binary_erosion(mask, square)].min() > 25
        assert moved[~ndimage.binary_dilation(mask, square)].max() < 25
        assert mask.sum() > 200


@pytest.mark.parametrize(
    "ranges",
    [
        pytest.param(SHAPE_ONLY, marks=pytest.mark.long),
        replace(SHAPE_ONLY, elastic=0.03, kept_from=1),
    ],
)
def test_image_and_labels_stay_aligned_to_a_fraction_of_a_pixel(ranges):
    """The centre of a disc by its grey values equals the centre by its label.

    Each pixel is as bright as the fraction of it that the disc covers, so that the centroid of the
    brightness is the centre of the disc at any position.
    """
    radius, low, row, column = 11.0, WINDOW[0], *np.mgrid[:64, :64]
    distance = np.hypot(row - 30, column - 34)
    image = np.clip(radius - distance + 0.5, 0, 1).astype(np.float32)[None] * 300 + low
    label = (distance < radius).astype(np.uint8)[None]

    def offset(image, label):
        """Distance in rows and columns from the centre of the image to that of the label."""
        brightness = image.astype(np.float64) - low
        return np.array(
            [
                (coordinate * label).sum() / label.sum()
                - (coordinate * brightness).sum() / brightness.sum()
                for coordinate in (row, column)
            ]
        )

    assert np.abs(offset(image[0], label[0])).max() < 1e-5
    in_output, in_source = [], []
    drawn = draw_batch(ranges, range(48))
    moved = apply(np.repeat(image, 48, axis=0), np.repeat(label, 48, axis=0), drawn)
    for *pair, (a, b, _, d, e, _) in zip(*moved, drawn["transform"].numpy(), strict=True):
        rows, columns = offset(*pair)
        in_output.append((rows, columns))
        # An offset that rotates with the image is constant in the coordinates of the source.
        in_source.append((d * columns + e * rows, a * columns + b * rows))
    assert np.abs(in_output).max() < 0.25
    # The centre of a label is known to about 0.06 pixels; the mean of 48 to 0.01.
    assert np.abs(np.mean(in_output, axis=0)).max() < 0.04
    assert np.abs(np.mean(in_source, axis=0)).max() < 0.04


def test_labels_stay_in_the_set_and_images_in_the_window():
    images, labels = make_slices(8)
    ranges = Ranges(40.0, 0.4, 0.3, 0.5, 80.0, 0.5, 100.0, 0.05, 8, 1.0, 2.0, 2)
    moved, moved_labels = apply(images, labels, draw_batch(ranges, range(8)))
    assert set(np.unique(moved_labels)) == {0, 1, 4}
    assert moved.min() >= WINDOW[0]
    assert moved.max() <= WINDOW[1]
    assert moved.dtype == np.float32
    assert moved_labels.dtype == np.uint8


def test_noise_has_the_drawn_sd_and_differs_between_slices():
    images = np.full((3, 100, 100), 40, np.float32)
    labels = np.ones((3, 100, 100), np.uint8)
    drawn = draw_batch(replace(NO_AUGMENTATION, noise_hu=12.0), range(3))
    drawn["noise_hu"] = tf.constant([5.0, 12.0, 12.0])
    moved, moved_labels = apply(images, labels, drawn)
    noise = moved - 40
    # With 10,000 pixels the SD is known to 0.7 %.
    np.testing.assert_allclose(noise.std(axis=(1, 2)), [5, 12, 12], rtol=0.03)
    assert np.abs(noise.mean(axis=(1, 2))).max() < 0.5
    assert abs(np.corrcoef(noise[1].reshape(-1), noise[2].reshape(-1))[0, 1]) < 0.05
    assert abs(np.corrcoef(noise[1, :, 1:].ravel(), noise[1, :, :-1].ravel())[0, 1]) < 0.05
    np.testing.assert_array_equal(moved_labels, labels)


def test_gain_and_offset_equal_values_calculated_by_hand():
    images = np.array([[[-160.0, 0.0, 40.0, 140.0, 240.0]]], np.float32)
    labels = np.zeros((1, 1, 5), np.uint8)
    moved, _ = apply(images, labels, parameters(IDENTITY, gain=1.1, offset_hu=-5.0))
    # Around the centre of the window, 40: 40 + 1.1 (x - 40) - 5, clipped to the window.
    np.testing.assert_allclose(moved[0, 0], [-160, -9, 35, 145, 240], atol=1e-4)

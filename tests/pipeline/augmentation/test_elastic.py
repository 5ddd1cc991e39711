"""The deformation is a B-spline without folds, applied together with the affine transform."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from scipy import interpolate, ndimage

from liver_tf.pipeline.augmentation import elastic, warp
from liver_tf.pipeline.augmentation.ranges import NO_AUGMENTATION, WITHOUT_FOLDS, Ranges
from tests.builders.augment_cases import IDENTITY, WINDOW, apply, draw_batch, parameters

LOW = WINDOW[0]


def control(amplitude, intervals=4, seed=0):
    shape = elastic.control_shape(intervals)
    return amplitude * elastic.draw_control(tf.constant([seed, 1]), shape)[None]


def test_the_field_equals_a_cubic_spline_of_scipy():
    drawn = control(0.1)
    across, along = (field.numpy()[0] for field in elastic.displacement(drawn, 20, 30))
    # Knots one interval apart, three of them beyond each end.
    knots = np.arange(-3.0, 4 + 4)
    for field, part, side in ((across, 0, 30), (along, 1, 20)):
        of_rows = interpolate.BSpline(knots, drawn[0, :, :, part].numpy(), 3)
        rows = of_rows(np.linspace(0, 4, 20))
        expected = interpolate.BSpline(knots, rows.T, 3)(np.linspace(0, 4, 30)).T * side
        np.testing.assert_allclose(field, expected, atol=1e-4)


@pytest.mark.parametrize("intervals", [2, 8])
def test_the_maximum_amplitude_does_not_fold_and_a_larger_one_is_refused(intervals):
    maximum = WITHOUT_FOLDS / intervals
    for seed in range(20):
        across, along = elastic.displacement(control(maximum, intervals, seed), 128, 128)
        (x_rows, x_columns), (y_rows, y_columns) = (
            np.gradient(field[0].numpy()) for field in (across, along)
        )
        area = (1 + x_columns) * (1 + y_rows) - x_rows * y_columns
        assert area.min() > 0
    Ranges(elastic=maximum, elastic_intervals=intervals)
    with pytest.raises(ValueError, match="would fold"):
        Ranges(elastic=maximum * 1.01, elastic_intervals=intervals)


def test_affine_and_deformation_in_one_interpolation_equal_scipy():
    image = np.random.default_rng(1).uniform(*WINDOW, (1, 40, 48)).astype(np.float32)
    labels = np.random.default_rng(2).integers(0, 5, (1, 40, 48)).astype(np.uint8)
    ranges = replace(NO_AUGMENTATION, rotation_degrees=20.0, zoom=0.1, shift=0.1, elastic=0.05)
    largest = 0.0
    for example in range(3):
        drawn = draw_batch(ranges, [example])
        moved, moved_labels = apply(image, labels, drawn)
        across, along = (
            field.numpy()[0].astype(np.float64)
            for field in elastic.displacement(drawn["elastic"], 40, 48)
        )
        largest = max(largest, np.abs(across).max())
        a, b, c, d, e, f = drawn["transform"].numpy()[0].astype(np.float64)
        row, column = np.mgrid[:40, :48]
        x, y = column - 23.5 + across, row - 19.5 + along
        positions = np.stack([d * x + e * y + f * 40 + 19.5, a * x + b * y + c * 48 + 23.5])
        expected = ndimage.map_coordinates(
            image[0].astype(np.float64), positions, order=1, mode="grid-constant", cval=LOW
        )
        np.testing.assert_allclose(moved[0], expected, atol=0.05)
        expected = ndimage.map_coordinates(
            labels[0], positions, order=0, mode="grid-constant", cval=0
        )
        decided = (np.abs(positions - np.floor(positions) - 0.5) > 1e-3).all(axis=0)
        assert decided.mean() > 0.9
        np.testing.assert_array_equal(moved_labels[0][decided], expected[decided])
    assert largest > 0.5


def test_coordinates_do_not_depend_on_the_compiler_or_the_order_of_sums():
    """Three programs with different orders of summation give the same integers."""
    drawn = draw_batch(replace(Ranges(), elastic=0.05), range(8))
    points, transform = drawn["elastic"], drawn["transform"]

    def coordinates(points, transform):
        shape = tf.shape(points)[0], 128, 128
        no_shift = tf.zeros(shape, tf.int32), tf.zeros(shape, tf.int32)
        return warp.displaced(no_shift, transform, elastic.displacement(points, 128, 128))

    eager_fields = coordinates(points, transform)
    compiled = tf.function(coordinates, jit_compile=True)(points, transform)
    # Term by term, beginning with the last control point.
    weights = elastic._splines(tf.constant(128), tf.constant(11)).numpy()
    field = np.zeros((2, 8, 128, 128))
    for row in reversed(range(11)):
        for column in reversed(range(11)):
            moved = points[:, row, column].numpy().astype(np.float64).T * 128
            field += np.multiply.outer(moved, np.outer(weights[:, row], weights[:, column]))
    a, b, _, d, e, _ = transform.numpy().astype(np.float64).T[..., None, None]
    by_hand = a * field[0] + b * field[1], d * field[0] + e * field[1]
    for eager, by_xla, summed in zip(eager_fields, compiled, by_hand, strict=True):
        assert np.abs(eager).max() > 65536
        np.testing.assert_array_equal(eager, by_xla)
        np.testing.assert_array_equal(eager, np.rint(summed * 65536).astype(np.int32))


def test_the_amplitude_varies_between_slices_within_the_range():
    drawn = draw_batch(replace(NO_AUGMENTATION, elastic=0.04), range(200))["elastic"].numpy()
    assert drawn.shape == (200, 11, 11, 2)
    largest = np.abs(drawn).max(axis=(1, 2, 3))
    assert 0.038 < largest.max() <= 0.04
    # The largest of 242 uniform numbers is close to the amplitude, which is uniform.
    assert np.mean(largest < 0.02) == pytest.approx(0.5, abs=0.15)
    correlation = np.corrcoef(drawn.reshape(200, -1)[:12]) - np.eye(12)
    assert np.abs(correlation).max() < 0.3


def test_displacements_stay_below_the_stated_maximum():
    drawn = control(0.1)
    across, along = elastic.displacement(drawn, 64, 96)
    most_across, most_along = elastic.largest(drawn, 64, 96)
    assert 0 < np.abs(across).max() <= float(most_across[0]) <= 0.1 * 96
    assert 0 < np.abs(along).max() <= float(most_along[0]) <= 0.1 * 64


def test_a_field_of_zeros_changes_no_bit():
    image = np.random.default_rng(1).uniform(*WINDOW, (1, 17, 31)).astype(np.float32)
    labels = np.random.default_rng(2).integers(0, 5, (1, 17, 31)).astype(np.uint8)
    moved, moved_labels = apply(image, labels, parameters(IDENTITY, elastic=control(0.0)))
    assert moved.tobytes() == image.tobytes()
    assert moved_labels.tobytes() == labels.tobytes()

"""Gamma and blur compared with formulas and scipy; noise is added last."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from liver_tf.pipeline.augmentation import augment, grey_levels
from tests.builders.augment_cases import (
    IDENTITY,
    WINDOW,
    apply,
    draw_batch,
    make_slices,
    parameters,
)

LOW, HIGH = WINDOW


def test_gamma_is_applied_to_the_fraction_of_the_window():
    images = np.array([[[-160.0, -60.0, 40.0, 140.0, 240.0]]], np.float32)
    labels = np.zeros((1, 1, 5), np.uint8)
    moved, _ = apply(images, labels, parameters(IDENTITY, gamma=tf.constant([2.0])))
    # 1/4 of the window becomes 1/16, 1/2 becomes 1/4, and so on.
    np.testing.assert_allclose(moved[0, 0], [-160, -135, -60, 65, 240], atol=1e-3)


def test_gamma_follows_contrast_and_brightness_and_clips_to_the_window():
    images, labels = make_slices(1)
    drawn = parameters(IDENTITY, gain=1.5, offset_hu=30.0, gamma=tf.constant([0.7]))
    moved, _ = apply(images, labels, drawn)
    scaled = 40 + 1.5 * (images.astype(np.float64) - 40) + 30
    fraction = np.clip((scaled - LOW) / (HIGH - LOW), 0, 1)
    np.testing.assert_allclose(moved, LOW + (HIGH - LOW) * fraction**0.7, atol=1e-2)


@pytest.mark.parametrize("sd", [0.4, 1.0, 1.9])
def test_blur_equals_scipy(sd):
    images, labels = make_slices(1, 24, 33)
    taps = grey_levels.taps(tf.constant(sd), 2.0)
    assert 2 * float(tf.reduce_sum(taps)) - float(taps[0]) == pytest.approx(1, abs=1e-6)
    moved, moved_labels = apply(images, labels, parameters(IDENTITY, blur=taps[None]))
    expected = ndimage.gaussian_filter(
        images[0].astype(np.float64), sd, mode="reflect", radius=grey_levels.reach_of(2.0)
    )
    np.testing.assert_allclose(moved[0], expected, atol=1e-2)
    np.testing.assert_array_equal(moved_labels, labels)


def test_noise_is_not_blurred():
    images = np.full((1, 64, 64), 40, np.float32)
    labels = np.zeros((1, 64, 64), np.uint8)
    drawn = parameters(IDENTITY, noise_hu=10.0, blur=grey_levels.taps(tf.constant(2.0), 2.0)[None])
    moved, _ = apply(images, labels, drawn)
    assert moved.std() == pytest.approx(10, rel=0.05)


def test_drawn_parameters_stay_in_their_ranges():
    ranges = augment.Ranges(gamma=0.25, blur_pixels=1.5)
    drawn = draw_batch(ranges, range(300))
    logs = np.log(drawn["gamma"])
    assert np.abs(logs).max() <= np.log(1.25) * (1 + 1e-6)
    assert np.abs(logs).max() > 0.95 * np.log(1.25)
    assert abs(logs.mean()) < 4 * np.log(1.25) / np.sqrt(3 * 300)
    # The SD follows from the first two taps of a kernel: their ratio is exp(-1 / (2 sd ** 2)).
    ratio = (drawn["blur"][:, 1] / drawn["blur"][:, 0]).numpy()
    sd = np.sqrt(-0.5 / np.log(np.maximum(ratio, 1e-30)))
    assert 1.4 < sd.max() <= 1.5 + 1e-4
    assert np.mean(sd < 0.75) == pytest.approx(0.5, abs=0.12)
    assert drawn["blur"].shape == (300, 6)


def test_a_curve_is_linear_between_equidistant_points_of_the_window():
    slopes = np.array([2.0, 0.5, 0.5, 1.0, 1.0, 2.0, 0.5, 0.5])
    images = np.linspace(LOW - 20, HIGH + 20, 441, dtype=np.float32).reshape(1, 21, 21)
    labels = np.zeros((1, 21, 21), np.uint8)
    curve = tf.constant([slopes - 1], tf.float32)
    moved, _ = apply(images, labels, parameters(IDENTITY, curve=curve))
    points = LOW + 50.0 * np.arange(9)
    values = LOW + 50.0 * np.concatenate([[0], np.cumsum(slopes)])
    assert values[-1] == HIGH
    np.testing.assert_allclose(moved, np.interp(images, points, values), atol=1e-3)


def test_drawn_curves_increase_end_at_the_window_and_have_their_probability():
    curves = draw_batch(augment.Ranges(curve=0.4), range(400))["curve"].numpy()
    identical = (curves == 0).all(axis=1)
    assert np.mean(~identical) == pytest.approx(0.4, abs=0.1)
    slopes = 1 + curves[~identical]
    assert slopes.min() > 0.1
    np.testing.assert_allclose(slopes.mean(axis=1), 1, atol=1e-5)
    assert (slopes.max(axis=1) / slopes.min(axis=1)).max() > 5
    assert len(np.unique(slopes.round(4), axis=0)) == len(slopes)
    values = LOW + 50 * np.cumsum(slopes, axis=1)
    assert values[:, 3].std() > 15, "the middle of the window moves by tens of HU"


def test_a_slice_without_a_curve_keeps_every_bit():
    images, labels = make_slices(2)
    drawn = parameters(IDENTITY, curve=tf.zeros([1, 8]))
    moved, _ = apply(images[:1], labels[:1], drawn)
    np.testing.assert_array_equal(moved, images[:1])


def test_curves_do_not_change_the_other_parameters():
    with_curves, without = (draw_batch(augment.Ranges(curve=p), range(5)) for p in (0.5, 0.0))
    for name, values in without.items():
        np.testing.assert_array_equal(values, with_curves[name], err_msg=name)

"""The loss worked by hand and against scipy; overlap counts against numpy."""

import math

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax

from liver_tf.model.loss import class_weights, weighted_cross_entropy
from liver_tf.training.validation import class_overlap


def test_class_weights_are_inverse_to_pixel_shares():
    # Shares 0.8, 0.15, 0.05 of 1000 pixels: w = 1000 / (3 x pixels), and 0 for the absent class.
    weights = class_weights([800, 150, 0, 50])
    assert weights == pytest.approx((1000 / 2400, 1000 / 450, 0.0, 1000 / 150))
    assert np.dot(weights, [0.8, 0.15, 0.0, 0.05]) == pytest.approx(1.0)
    # Inversely proportional: 16 times as many pixels, a 16th of the weight.
    assert weights[3] / weights[0] == pytest.approx(16)


def test_loss_worked_by_hand():
    # Two pixels: probabilities 1/2, 1/2 with label 0; 1/4, 3/4 with label 1.
    logits = tf.constant([[[[0.0, 0.0], [0.0, math.log(3.0)]]]])
    labels = tf.constant([[[0, 1]]], tf.uint8)
    loss = weighted_cross_entropy(logits, labels, tf.constant([2.0, 10.0]))
    assert float(loss) == pytest.approx((2 * math.log(2) + 10 * math.log(4 / 3)) / 2, rel=1e-6)


def test_loss_equals_scipy_and_ignores_classes_of_weight_zero():
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 5, (3, 6, 7, 4))
    labels = generator.integers(0, 4, (3, 6, 7))
    weights = np.array([0.3, 1.0, 0.0, 7.0])
    picked = np.take_along_axis(log_softmax(logits, axis=-1), labels[..., None], axis=-1)[..., 0]
    expected = -(picked * weights[labels]).mean()
    found = weighted_cross_entropy(
        tf.constant(logits, tf.float32), tf.constant(labels), tf.constant(weights, tf.float32)
    )
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_loss_of_extreme_logits_is_finite():
    logits = tf.constant([[[[1e4, -1e4]]]])
    loss = weighted_cross_entropy(logits, tf.constant([[[1]]]), tf.constant([1.0, 1.0]))
    assert float(loss) == pytest.approx(2e4)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_overlap_equals_numpy(classes):
    generator = np.random.default_rng(classes)
    logits = generator.normal(size=(2, 9, 8, classes)).astype(np.float32)
    labels = generator.integers(0, classes, (2, 9, 8)).astype(np.uint8)
    found = class_overlap(tf.constant(logits), tf.constant(labels), classes).numpy()
    predicted = logits.argmax(-1)
    for label in range(classes):
        true, guess = labels == label, predicted == label
        assert found[:, label].tolist() == [(true & guess).sum(), guess.sum(), true.sum()]
    true, guess = labels >= 2, predicted >= 2
    assert found[:, classes].tolist() == [(true & guess).sum(), guess.sum(), true.sum()]

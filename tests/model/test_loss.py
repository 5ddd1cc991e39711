"""The loss worked by hand and against scipy; overlap counts against numpy."""

import math

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax

from liver_tf.model.loss import class_weights, segmentation_loss, weighted_cross_entropy
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


def test_class_weights_by_the_square_root_and_equal_ones():
    weights = class_weights([900, 0, 100], "sqrt")
    # 1 / sqrt(0.9) : 1 / sqrt(0.1) = 1 : 3, with a mean over all pixels of 1.
    assert weights == pytest.approx((1 / 1.2, 0.0, 3 / 1.2))
    assert np.dot(weights, [0.9, 0.0, 0.1]) == pytest.approx(1.0)
    assert class_weights([900, 0, 100], "none") == (1.0, 1.0, 1.0)


def assert_same_loss(slow, fast, logits):
    """Value and gradient of ``fast`` equal those of ``slow`` by automatic differentiation."""
    values, gradients = [], []
    for loss in (slow, fast):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            values.append(3.0 * loss(logits))
        gradients.append(tape.gradient(values[-1], logits).numpy())
    assert float(values[1]) == pytest.approx(float(values[0]), rel=1e-5)
    np.testing.assert_allclose(gradients[1], gradients[0], rtol=1e-4, atol=1e-7)


def test_soft_dice_worked_by_hand():
    # Two pixels, probabilities of lesion 3/4 (true) and 1/2 (not), summed over both lesion types.
    probability = np.array([[[[0.125, 0.125, 0.5, 0.25], [0.25, 0.25, 0.25, 0.25]]]])
    logits = tf.constant(np.log(probability), tf.float32)
    labels = tf.constant([[[3, 1]]], tf.uint8)
    weights = tf.constant([0.0, 0.0, 0.0, 0.0])
    dice = (2 * 0.75 + 1) / (1.25 + 1 + 1)
    assert float(segmentation_loss(logits, labels, weights, 0.5)) == pytest.approx(0.5 * (1 - dice))
    # A network of liver and background: probability of liver 1/4 (true) and 1/2 (not).
    logits = tf.math.log([[[[0.75, 0.25], [0.5, 0.5]]]])
    loss = segmentation_loss(logits, tf.constant([[[1, 0]]]), tf.constant([0.0, 0.0]), 1.0)
    assert float(loss) == pytest.approx(1 - 1.5 / 2.75)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_the_gradient_of_soft_dice_equals_automatic_differentiation(classes):
    generator = np.random.default_rng(classes)
    logits = tf.constant(generator.normal(0, 2, (2, 5, 4, classes)), tf.float32)
    labels = tf.constant(generator.integers(0, classes, (2, 5, 4)), tf.uint8)
    weights = tf.constant(generator.uniform(0, 3, classes), tf.float32)
    first = 2 if classes > 2 else 1

    def slow(logits):
        one_hot = tf.one_hot(labels, classes)
        entropy = -tf.reduce_sum(one_hot * weights * tf.nn.log_softmax(logits), axis=-1)
        lesion = tf.reduce_sum(tf.nn.softmax(logits)[..., first:], axis=-1)
        true = tf.reduce_sum(one_hot[..., first:], axis=-1)
        both = tf.reduce_sum(lesion * true)
        dice = (2 * both + 1) / (tf.reduce_sum(lesion) + tf.reduce_sum(true) + 1)
        return tf.reduce_mean(entropy) + 0.7 * (1 - dice)

    assert_same_loss(slow, lambda logits: segmentation_loss(logits, labels, weights, 0.7), logits)


def test_cross_entropy_of_types_worked_by_hand():
    # Two images: two lesion pixels of label 2, given lesion with probability 3/4 and 1/4; one of
    # label 3 with 1/2. Each image counts the same; pixels without lesion do not count.
    given_lesion = [[[0.75, 0.25], [0.25, 0.75], [0.9, 0.1]], [[0.5, 0.5], [0.9, 0.1], [0.2, 0.8]]]
    probability = np.array(given_lesion)[:, None] * [[[[0.3], [0.6], [0.1]]]]
    rest = np.broadcast_to((1 - probability.sum(-1, keepdims=True)) / 2, (2, 1, 3, 1))
    logits = tf.constant(np.log(np.concatenate([rest, rest, probability], -1)), tf.float32)
    labels = tf.constant([[[2, 2, 1]], [[3, 0, 1]]], tf.uint8)
    loss = segmentation_loss(logits, labels, tf.zeros([4]), type_weight=2.0)
    first, second = (np.log(4 / 3) + np.log(4)) / 2, np.log(2)
    assert float(loss) == pytest.approx(2.0 * (first + second) / 2, rel=1e-5)


@pytest.mark.parametrize("dice_weight", [0.0, 0.5])
def test_the_gradient_of_the_types_equals_automatic_differentiation(dice_weight):
    generator = np.random.default_rng(7)
    logits = tf.constant(generator.normal(0, 2, (3, 5, 4, 5)), tf.float32)
    labels = generator.integers(0, 5, (3, 5, 4))
    labels[2] = np.minimum(labels[2], 1)  # An image without lesion.
    labels, weights = tf.constant(labels, tf.uint8), tf.constant([1.0, 0.5, 2.0, 3.0, 0.0])

    def slow(logits):
        entropy = -tf.one_hot(tf.cast(labels, tf.int32) - 2, 3) * tf.nn.log_softmax(logits[..., 2:])
        pixels = tf.reduce_sum(tf.cast(labels > 1, tf.float32), axis=(1, 2))[:2]
        types = tf.reduce_mean(tf.reduce_sum(entropy, axis=(1, 2, 3))[:2] / pixels)
        return segmentation_loss(logits, labels, weights, dice_weight) + 0.3 * types

    def fast(logits):
        return segmentation_loss(logits, labels, weights, dice_weight, 0.3)

    assert_same_loss(slow, fast, logits)


def test_without_lesion_or_with_one_type_only_the_types_cost_nothing():
    logits = tf.random.stateless_normal([1, 4, 4, 4], [1, 2])
    healthy, weights = tf.ones([1, 4, 4], tf.uint8), tf.zeros([4])
    assert float(segmentation_loss(logits, healthy, weights, 0.0, 1.0)) == 0.0
    single = segmentation_loss(logits[..., :3], 2 * healthy, weights[:3], 0.0, 1.0)
    assert float(single) == 0.0


def test_a_batch_without_lesion_lowers_the_probability_of_lesion():
    labels, weights = tf.ones([1, 4, 4], tf.uint8), tf.constant([0.0, 0.0, 0.0])
    for logit, expected in ((-30.0, 0.0), (30.0, 16 / 17)):
        logits = tf.ones([1, 4, 4, 1]) * tf.constant([0.0, 0.0, logit])
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss = segmentation_loss(logits, labels, weights, 1.0)
        assert float(loss) == pytest.approx(expected, abs=1e-5)
        gradient = tape.gradient(loss, logits).numpy()
        assert np.isfinite(gradient).all()
        assert (gradient[..., 2] >= 0).all()


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

"""Correction of probabilities for the class weights of the loss, worked by hand."""

import numpy as np
import pytest
import tensorflow as tf

from liver_tf.inference.trained_network import TrainedNetwork
from liver_tf.model.prior_correction import prior_correction

WEIGHTS = (0.5, 0.25, 30.0, 0.0, 97.0)


def test_the_correction_by_hand():
    # With weights 1 and 99, an output of 0.5 corresponds to 1 in 100: 0.5 / 99 : 0.5.
    logits = np.log([0.5, 0.5]) + prior_correction([1.0, 99.0])
    np.testing.assert_allclose(np.exp(logits) / np.exp(logits).sum(), [0.99, 0.01], rtol=1e-6)
    assert prior_correction([1.0, 1.0]).tolist() == [0.0, 0.0]
    assert prior_correction([2.0, 0.0, 1.0]).dtype == np.float32
    assert np.isfinite(prior_correction([2.0, 0.0, 1.0])).all()


def test_corrected_probabilities_are_those_divided_by_the_weights(make_network):
    plain = make_network("lesion", class_weights=WEIGHTS)
    corrected = plain.with_correction(True)
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 1)).astype(np.float32)
    before = plain.softmax(images).numpy().astype(np.float64)
    after = corrected.softmax(images).numpy()
    divided = np.where(np.array(WEIGHTS) > 0, before / np.maximum(WEIGHTS, 1e-9), 0.0)
    divided /= divided.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(after, divided, atol=1e-6)
    assert not after[..., 3].any()
    constants = corrected.with_constants()
    assert constants.corrected
    np.testing.assert_allclose(constants.softmax(images), after, atol=1e-6)
    assert corrected.with_correction(True) is corrected
    np.testing.assert_array_equal(corrected.with_correction(False).softmax(images), before)


def test_flips_average_corrected_probabilities(make_network):
    network = make_network("lesion", class_weights=WEIGHTS)
    flipped = TrainedNetwork(network.model, network.description, flips=True, corrected=True)
    hu = tf.constant(np.random.default_rng(1).normal(100, 40, (1, 32, 32)), tf.float32)
    box = tf.constant([[0.0, 0.0, 32.0]])
    corrected = network.with_correction(True)
    straight = corrected.probabilities_on_grid(hu, box)
    mirrored = corrected.probabilities_on_grid(tf.reverse(hu, [2]), box)
    mean = (straight + tf.reverse(mirrored, [2])) / 2
    np.testing.assert_allclose(flipped.probabilities_on_grid(hu, box), mean, atol=1e-6)


def test_no_correction_without_class_weights(make_network):
    network = make_network("lesion")
    assert network.with_correction(False) is network
    with pytest.raises(ValueError, match="class weights of the network are unknown"):
        network.with_correction(True)

"""The fused normalisation is Keras's: outputs, statistics and gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from liver_tf.model.batch_norm import FusedBatchNormalization

SHAPES = [(1, 4, 4, 3), (6, 8, 5, 2), (1, 32, 32, 1)]


def make_pair(shape, seed=0):
    generator = np.random.default_rng(seed)
    channels = shape[-1]
    values = [
        generator.uniform(0.5, 2, channels),
        generator.normal(size=channels),
        generator.normal(size=channels),
        generator.uniform(0.5, 3, channels),
    ]
    layers = []
    for kind in (FusedBatchNormalization, keras.layers.BatchNormalization):
        layer = kind(momentum=0.9)
        layer.build(shape)
        layer.set_weights([value.astype(np.float32) for value in values])
        layers.append(layer)
    inputs = generator.normal(3, 2, shape).astype(np.float32)
    return layers, tf.constant(inputs)


def run(layer, inputs, training):
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs, training=training)
        loss = tf.reduce_sum(tf.sin(outputs))
    gradients = tape.gradient(loss, [inputs, layer.gamma, layer.beta])
    return [outputs, *gradients, *layer.weights]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("training", [True, False, None])
def test_equals_keras(shape, training):
    (ours, theirs), inputs = make_pair(shape)
    for _ in range(3):
        for one, other in zip(
            run(ours, inputs, training), run(theirs, inputs, training), strict=True
        ):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_moving_statistics_worked_by_hand():
    layer = FusedBatchNormalization(momentum=0.75)
    inputs = np.array([1.0, 2.0, 3.0, 6.0], np.float32).reshape(1, 2, 2, 1)
    layer(inputs, training=True)
    # Mean 3, variance (4 + 1 + 0 + 9) / 4 = 3.5; from 0 and 1, a quarter of the way.
    assert layer.moving_mean.numpy() == pytest.approx([0.75])
    assert layer.moving_variance.numpy() == pytest.approx([0.75 + 3.5 / 4])


@pytest.mark.parametrize("training", [True, False])
def test_a_frozen_layer_infers_and_keeps_its_statistics(training):
    (ours, theirs), inputs = make_pair(SHAPES[1])
    expected = theirs(inputs, training=False)
    ours.trainable = False
    before = [weight.numpy().copy() for weight in ours.weights]
    np.testing.assert_allclose(ours(inputs, training=training), expected, rtol=1e-5, atol=1e-5)
    for weight, value in zip(ours.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_weights_have_keras_names():
    (ours, theirs), _ = make_pair(SHAPES[0])
    assert [w.name for w in ours.weights] == [w.name for w in theirs.weights]
    assert [w.shape for w in ours.weights] == [w.shape for w in theirs.weights]

"""The convolution of two inputs is that of both joined, forwards and backwards."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from liver_tf.model.skip_convolution import SkipConvolution


def inputs(seed, channels, dtype="float32"):
    values = np.random.default_rng(seed).normal(0, 1, (2, 6, 5, channels))
    return tf.constant(values, dtype)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    ("policy", "close"),
    [("float32", {"rtol": 1e-4, "atol": 1e-4}), ("mixed_float16", {"rtol": 2e-2, "atol": 0.05})],
)
def test_values_and_gradients_are_those_of_plain_layers(policy, close, compiled, training):
    ours = SkipConvolution(4, name="ours", dtype=keras.DTypePolicy(policy))
    plain = keras.layers.Conv2D(4, 3, padding="same", activation="relu", dtype=policy)
    kind = ours.compute_dtype
    skip, up = inputs(0, 3, kind), inputs(1, 2, kind)
    ours.build([tuple(skip.shape), tuple(up.shape)])
    plain.build((2, 6, 5, 5))
    generator = np.random.default_rng(2)
    start = [generator.normal(0, 1, one.shape) for one in ours.get_weights()]
    ours.set_weights(start)
    plain.set_weights(start)
    assert [one.shape for one in plain.weights] == [one.shape for one in ours.weights]
    assert [one.name for one in plain.weights] == [one.name for one in ours.weights]

    def run(layer, join):
        def once():
            with tf.GradientTape() as tape:
                tape.watch((skip, up))
                options = {} if join else {"training": training}
                outputs = layer(tf.concat([skip, up], -1) if join else [skip, up], **options)
                loss = tf.reduce_sum(tf.cast(outputs, tf.float32) * inputs(3, 4))
            return outputs, *tape.gradient(loss, (skip, up, *layer.trainable_variables))

        return tf.function(once)() if compiled else once()

    for one, other in zip(run(ours, False), run(plain, True), strict=True):
        assert one.dtype == other.dtype
        assert np.abs(other).max() > 0.1
        np.testing.assert_allclose(one, other, **close)

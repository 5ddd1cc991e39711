"""One step equals Keras's own; validation is worked by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from benchmarks.frozen_backward import backward_convolutions
from liver_tf.model.blocks import BLOCKS, DECODER, ENCODER
from liver_tf.model.loss import weighted_cross_entropy
from liver_tf.pipeline.augmentation import augment
from liver_tf.training.training_step import training_step
from tests.builders.tiny_network import TASK, build, make_batch


def test_steps_equal_those_of_keras_fit():
    ours, theirs = (build(fixed=("enc1", "enc2", "dec4")) for _ in range(2))
    step = training_step(ours, keras.optimizers.Adam(1e-2), TASK)
    theirs.compile(
        keras.optimizers.Adam(1e-2),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum"),
        run_eagerly=True,
    )
    for number, size in enumerate((3, 3, 2)):
        images, labels = make_batch(size, number)
        loss = float(step(images, labels, {}))
        weights = np.array(TASK.class_weights, np.float32)[labels.numpy()] / labels.numpy().size
        inputs = ((images.numpy() - 100) / 30)[..., None]
        reference = theirs.train_on_batch(inputs, labels.numpy(), sample_weight=weights)
        if number == 0:
            assert loss == pytest.approx(float(reference), rel=1e-4)
    for one, other in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-3, err_msg=one.path)


def test_a_step_prepared_before_its_first_batch_is_traced_once():
    """For batches of any size, and traced no second time."""
    prepared, plain = (training_step(build(), keras.optimizers.Adam(1e-2), TASK) for _ in range(2))
    images, labels = make_batch(3)
    spec = [tf.TensorSpec([None, 16, 16], part.dtype) for part in (images, labels)]
    prepared.prepare(*spec, {})
    (traced,) = prepared.traced
    for size in (3, 2):
        batch = *make_batch(size), {}
        assert float(prepared(*batch)) == float(plain(*batch))
    assert prepared.traced == [traced]
    assert traced.experimental_get_tracing_count() == 1


def test_the_step_augments_batches_that_come_with_parameters():
    """Parameters handed to the step have the effect of augmenting before it."""
    images, labels = make_batch(2)
    drawn = [
        augment.draw(1, tf.constant(0), tf.constant(n, tf.int64), augment.Ranges())
        for n in range(2)
    ]
    drawn = {name: tf.stack([one[name] for one in drawn]) for name in drawn[0]}
    loss = training_step(build(), keras.optimizers.Adam(1e-3), TASK)(images, labels, drawn)
    moved, moved_labels = augment.apply(images, labels, drawn, TASK.window)
    logits = build()(TASK.standardise(moved), training=True)
    expected = weighted_cross_entropy(logits, moved_labels, tf.constant(TASK.class_weights))
    assert float(loss) == pytest.approx(float(expected), rel=1e-4)


CONVOLUTIONS = {
    *(f"{block}_conv{n}" for block in (*ENCODER, *DECODER) for n in (1, 2)),
    *(f"{block}_up" for block in DECODER),
    "head_logits",
}


@pytest.mark.parametrize("fixed", [(), ("enc1",), ENCODER[:4], ENCODER])
def test_no_gradients_are_computed_through_leading_frozen_blocks(fixed):
    """Their kernels get no gradient, and neither does what they hand on."""
    step = training_step(build(fixed=fixed), keras.optimizers.Adam(1e-3), TASK)
    step(*make_batch(1), {})
    kernels, inputs = backward_convolutions(step)
    learning = {layer for layer in CONVOLUTIONS if layer.split("_")[0] not in fixed}
    assert kernels == dict.fromkeys(learning, 1)
    # The first layer that learns has nothing to learn from behind it.
    first = "dec4_up" if fixed == ENCODER else f"{next(b for b in BLOCKS if b not in fixed)}_conv1"
    expected = dict.fromkeys(learning - {first}, 1)
    for level in range(1, 5):  # through the skip connection, where something behind it learns
        expected[f"dec{level}_conv1"] += not set(ENCODER[:level]) <= set(fixed)
    assert inputs == expected

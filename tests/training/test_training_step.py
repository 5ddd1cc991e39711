"""A training step equals that of Keras; frozen leading blocks get no gradients."""

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

#: Only the last blocks are trained, for short backward passes.
MOST = BLOCKS[:-2]


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
    for our, their in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_allclose(our, their, atol=2e-3, err_msg=our.path)


def test_a_step_prepared_before_its_first_batch_is_traced_once():
    """The trace serves batches of any size."""
    prepared, plain = (
        training_step(build(fixed=MOST), keras.optimizers.Adam(1e-2), TASK) for _ in range(2)
    )
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
    """Passing parameters to the step is equivalent to augmenting before it."""
    images, labels = make_batch(2)
    drawn = [
        augment.draw(1, tf.constant(0), tf.constant(n, tf.int64), augment.Ranges())
        for n in range(2)
    ]
    drawn = {name: tf.stack([each[name] for each in drawn]) for name in drawn[0]}
    step = training_step(build(fixed=MOST), keras.optimizers.Adam(1e-3), TASK)
    loss = step(images, labels, drawn)
    moved, moved_labels = augment.apply(images, labels, drawn, TASK.window)
    logits = build(fixed=MOST)(TASK.standardise(moved), training=True)
    expected = weighted_cross_entropy(logits, moved_labels, tf.constant(TASK.class_weights))
    assert float(loss) == pytest.approx(float(expected), rel=1e-4)


CONVOLUTIONS = {
    *(f"{block}_conv{n}" for block in (*ENCODER, *DECODER) for n in (1, 2)),
    *(f"{block}_up" for block in DECODER),
    "head_logits",
}


@pytest.mark.parametrize(
    "fixed",
    [
        pytest.param((), marks=pytest.mark.long),
        pytest.param(("enc1",), marks=pytest.mark.long),
        pytest.param(ENCODER[:4], marks=pytest.mark.long),
        ENCODER,
    ],
)
def test_no_gradients_are_computed_through_leading_frozen_blocks(fixed):
    """Neither the kernels of these blocks nor their outputs get a gradient."""
    step = training_step(build(fixed=fixed), keras.optimizers.Adam(1e-3), TASK)
    step(*make_batch(1), {})
    kernels, inputs = backward_convolutions(step)
    trained = {layer for layer in CONVOLUTIONS if layer.split("_")[0] not in fixed}
    assert kernels == dict.fromkeys(trained, 1)
    # The first trained layer needs no gradient of its input.
    first = "dec4_up" if fixed == ENCODER else f"{next(b for b in BLOCKS if b not in fixed)}_conv1"
    expected = dict.fromkeys(trained - {first}, 1)
    for level in range(1, 5):  # through the skip connection, if a block before it is trained
        expected[f"dec{level}_conv1"] += not set(ENCODER[:level]) <= set(fixed)
    assert inputs == expected

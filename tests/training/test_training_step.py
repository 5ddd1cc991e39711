"""One step equals Keras's own; validation is worked by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from benchmarks.frozen_backward import backward_convolutions
from liver_tf.model import unet
from liver_tf.model.architecture import Architecture
from liver_tf.model.blocks import BLOCKS, DECODER, ENCODER
from liver_tf.model.freezing import freeze
from liver_tf.model.loss import weighted_cross_entropy
from liver_tf.pipeline.augmentation import augment
from liver_tf.training.task import Task
from liver_tf.training.training_step import training_step
from liver_tf.training.validation import validate, validation_step

TASK = Task(100.0, 30.0, (0.5, 1.0, 4.0), (-160, 240))


def make_batch(count, seed=0):
    generator = np.random.default_rng(seed)
    images = generator.uniform(-160, 240, (count, 16, 16)).astype(np.float32)
    return tf.constant(images), tf.constant(generator.integers(0, 3, (count, 16, 16)), tf.uint8)


def build(seed=3, fixed=()):
    model = unet.build(Architecture(16, 1, 3), seed)
    freeze(model, fixed)
    return model


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


def test_a_step_traced_before_its_first_batch_is_the_same_step():
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


def test_what_is_left_to_augment_is_done_in_the_step():
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


def test_validation_uses_moving_statistics_and_changes_nothing():
    model = build()
    images, labels = make_batch(4)
    before = [weight.numpy().copy() for weight in model.weights]
    loss, overlap = validation_step(model, TASK)(images, labels, {})
    logits = model(TASK.standardise(images), training=False).numpy()
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)
    assert (
        overlap[1, :3].numpy().tolist()
        == np.bincount(logits.argmax(-1).reshape(-1), minlength=3).tolist()
    )
    assert (
        overlap[2, :3].numpy().tolist()
        == np.bincount(labels.numpy().reshape(-1), minlength=3).tolist()
    )
    assert np.isfinite(float(loss))


def fake_validation(losses, overlaps, sizes, classes):
    answers = iter(zip(losses, overlaps, strict=True))

    def step(images, labels, parameters):
        loss, overlap = next(answers)
        return tf.constant(loss), tf.constant(overlap, tf.float32)

    batches = [(tf.zeros([size, 1, 1]), tf.zeros([size, 1, 1]), {}) for size in sizes]
    return validate(step, batches, classes)


def test_validation_pools_over_batches_worked_by_hand():
    # Columns: background, liver, cyst, metastasis, any lesion. Rows: both, predicted, true.
    first = [[50, 10, 2, 0, 3], [60, 20, 3, 0, 5], [70, 20, 5, 0, 8]]
    second = [[40, 5, 1, 0, 1], [50, 10, 5, 0, 5], [40, 5, 5, 4, 9]]
    classes = ("background", "liver", "cyst", "metastasis")
    row = fake_validation([1.0, 4.0], [first, second], [4, 2], classes)
    assert row == pytest.approx(
        {
            "val_loss": (4 * 1.0 + 2 * 4.0) / 6,
            "val_dice_liver": 2 * 15 / (30 + 25),
            "val_dice_cyst": 2 * 3 / (8 + 10),
            "val_dice_metastasis": 0.0,
            "val_dice_any_lesion": 2 * 4 / (10 + 17),
            "val_dice": (2 * 3 / 18 + 0.0) / 2,
        }
    )


def test_validation_leaves_out_what_is_neither_there_nor_predicted():
    overlap = [[9, 1, 0, 0], [9, 1, 0, 0], [9, 1, 0, 0]]
    row = fake_validation([1.0], [overlap], [1], ("background", "liver", "lesion"))
    assert row == {"val_loss": 1.0, "val_dice_liver": 1.0, "val_dice": 0.0}
    overlap = [[9, 1, 0], [10, 2, 0], [9, 2, 0]]
    row = fake_validation([1.0], [overlap], [1], ("background", "liver"))
    assert row == {"val_loss": 1.0, "val_dice_liver": 0.5, "val_dice": 0.5}


CONVOLUTIONS = {
    *(f"{block}_conv{n}" for block in (*ENCODER, *DECODER) for n in (1, 2)),
    *(f"{block}_up" for block in DECODER),
    "head_logits",
}


@pytest.mark.parametrize("fixed", [(), ("enc1",), ENCODER[:4], ENCODER])
def test_nothing_is_computed_backwards_through_fixed_leading_blocks(fixed):
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

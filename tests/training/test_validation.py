"""Validation: loss and pooled Dice."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import softmax

from liver_tf.training.validation import validate, validation_step
from tests.builders.tiny_network import TASK, build, make_batch


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
    results = iter(zip(losses, overlaps, strict=True))

    def step(images, labels, parameters):
        loss, overlap = next(results)
        return tf.constant(loss), tf.constant(overlap, tf.float32)

    batches = [(tf.zeros([size, 1, 1]), tf.zeros([size, 1, 1]), {}) for size in sizes]
    return validate(step, batches, classes)


def test_validation_pools_over_batches():
    # Columns: background, liver, cyst, metastasis, any lesion, any lesion after correction.
    # Rows: both, predicted, true.
    first = [[50, 10, 2, 0, 3, 4], [60, 20, 3, 0, 5, 6], [70, 20, 5, 0, 8, 8]]
    second = [[40, 5, 1, 0, 1, 2], [50, 10, 5, 0, 5, 3], [40, 5, 5, 4, 9, 9]]
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
            "val_corrected_dice": 2 * 6 / (9 + 17),
        }
    )


def test_validation_omits_classes_neither_present_nor_predicted():
    overlap = [[9, 1, 0, 0, 0], [9, 1, 0, 0, 0], [9, 1, 0, 0, 0]]
    row = fake_validation([1.0], [overlap], [1], ("background", "liver", "lesion"))
    assert row == {
        "val_loss": 1.0,
        "val_dice_liver": 1.0,
        "val_dice": 0.0,
        "val_corrected_dice": 0.0,
    }
    overlap = [[9, 1, 0, 1], [10, 2, 0, 1], [9, 2, 0, 2]]
    row = fake_validation([1.0], [overlap], [1], ("background", "liver"))
    assert row == {
        "val_loss": 1.0,
        "val_dice_liver": 0.5,
        "val_dice": 0.5,
        "val_corrected_dice": 2 / 3,
    }


@pytest.mark.parametrize("weights", [(0.5, 1.0, 4.0), (0.5, 20.0)])
def test_the_last_column_counts_lesion_after_division_by_the_class_weights(weights):
    classes = len(weights)
    task = dataclasses.replace(TASK, class_weights=weights)
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 2, (3, 16, 16, classes)).astype(np.float32)
    labels = generator.integers(0, classes, (3, 16, 16)).astype(np.uint8)
    step = validation_step(lambda images, training: tf.constant(logits), task)
    overlap = step(tf.zeros([3, 16, 16]), tf.constant(labels), {})[1].numpy()
    corrected = softmax(logits, axis=-1) / np.array(weights)
    predicted, true = corrected.argmax(-1) == classes - 1, labels == classes - 1
    expected = [(predicted & true).sum(), predicted.sum(), true.sum()]
    assert overlap[:, -1].tolist() == expected
    assert overlap[1, -1] < overlap[1, -3 + (classes == 3)], "fewer lesions than by argmax"

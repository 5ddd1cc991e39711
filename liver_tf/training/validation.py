"""Validation: the loss and Dice over a validation set."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from liver_tf.labels import LIVER
from liver_tf.model.prior_correction import prior_correction
from liver_tf.training.replicas import ONE_DEVICE, OneDevice
from liver_tf.training.task import Task


def validate(
    step: Callable, batches: tf.data.Dataset, classes: tuple[str, ...]
) -> dict[str, float]:
    """Loss and pooled Dice over a validation set.

    Returns:
      ``val_loss``: mean over slices. ``val_dice_<class>``: of every class except background, if it
      is present or predicted. ``val_dice_any_lesion``: with several lesion types only.
      ``val_dice``: mean over the lesion types, or the Dice of the liver without lesion types.
      ``val_corrected_dice``: of any lesion, or of the liver without lesion types, after
      ``prior_correction``; 0 if there is none.
    """
    losses, sizes, counts = [], [], np.zeros((3, len(classes) + 2))
    for images, labels, parameters in batches:
        loss, overlap = step(images, labels, parameters)
        losses.append(float(loss))
        sizes.append(int(tf.shape(images)[0]))
        counts += overlap.numpy()
    intersection, predicted, true = counts
    with np.errstate(invalid="ignore"):
        dice = 2 * intersection / (predicted + true)
    named = {
        f"val_dice_{name}": float(dice[index])
        for index, name in enumerate(classes)
        if index and np.isfinite(dice[index])
    }
    if len(classes) > 3 and np.isfinite(dice[-2]):
        named["val_dice_any_lesion"] = float(dice[-2])
    kinds = classes[2:] or classes[1:]
    present = [named[f"val_dice_{name}"] for name in kinds if f"val_dice_{name}" in named]
    return {
        "val_loss": float(np.average(losses, weights=sizes)),
        "val_dice": float(np.mean(present)) if present else 0.0,
        "val_corrected_dice": float(np.nan_to_num(dice[-1])),
        **named,
    }


def validation_step(
    model: keras.Model, task: Task, replicas: OneDevice = ONE_DEVICE
) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
    """Make a compiled step: (images, labels, {}) to the batch's loss and its overlap counts.

    The counts are those of ``class_overlap``, and a column for the corrected prediction.
    """
    correction = tf.constant(prior_correction(task.class_weights))

    def step(images, labels, parameters):
        (images, labels, _), share = replicas.share((images, labels, parameters))
        logits = model(task.standardise(images), training=False)
        loss = task.loss(logits, labels)
        classes = len(task.class_weights)
        corrected = tf.argmax(logits + correction, axis=-1, output_type=tf.int32)
        first = min(LIVER + 1, classes - 1)
        overlap = tf.concat(
            [
                class_overlap(logits, labels, classes),
                overlap_from(first, corrected, tf.cast(labels, tf.int32))[:, None],
            ],
            axis=1,
        )
        return (loss, overlap) if share is None else (loss * share, overlap * tf.sign(share))

    return replicas.compiled(step)


def class_overlap(logits: tf.Tensor, labels: tf.Tensor, classes: int) -> tf.Tensor:
    """Pixel counts of a batch for Dice: float32 [3, classes + 1].

    Rows: intersection, predicted, true. Columns: the classes, then any lesion (label 2 and above).
    """
    predicted = tf.argmax(logits, axis=-1, output_type=tf.int32)
    labels = tf.cast(labels, tf.int32)
    hit = tf.cast(predicted == labels, tf.float32)
    everywhere = tf.ones_like(hit)
    counts = [
        tf.math.unsorted_segment_sum(weights, of, classes)
        for weights, of in ((hit, labels), (everywhere, predicted), (everywhere, labels))
    ]
    lesion = overlap_from(LIVER + 1, predicted, labels)
    return tf.concat([tf.stack(counts), lesion[:, None]], axis=1)


def overlap_from(first: int, predicted: tf.Tensor, true: tf.Tensor) -> tf.Tensor:
    """Pixel counts of all labels from ``first`` on together: intersection, predicted, true."""
    ours, theirs = tf.cast(predicted >= first, tf.float32), tf.cast(true >= first, tf.float32)
    return tf.stack([tf.reduce_sum(pixels) for pixels in (ours * theirs, ours, theirs)])

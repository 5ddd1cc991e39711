"""One step of training and one of validation, compiled anew for every set of frozen blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from liver_tf.model.loss import class_overlap, weighted_cross_entropy
from liver_tf.pipeline import augment
from liver_tf.training.computation import Computation

PLAIN = Computation()


@dataclass(frozen=True)
class Task:
    """What the network learns, apart from its weights.

    Attributes:
      mean_hu, sd_hu: liver HU of the training data, for standardisation.
      class_weights: of the loss, one per class.
      window: (low, high) HU.
    """

    mean_hu: float
    sd_hu: float
    class_weights: tuple[float, ...]
    window: tuple[int, int]

    def standardise(self, hu: tf.Tensor) -> tf.Tensor:
        """HU [batch, s, s] to the network's input [batch, s, s, 1]."""
        return ((hu - self.mean_hu) / self.sd_hu)[..., None]


def training_step(
    model: keras.Model,
    optimiser: keras.Optimizer,
    task: Task,
    computation: Computation = PLAIN,
) -> Callable[..., tf.Tensor]:
    """A compiled step: (images, labels, augmentation parameters) to the batch's loss.

    What is trainable is read when the step is made and traced: make a new one after every change
    of the frozen blocks.
    """
    weights = tf.constant(task.class_weights, tf.float32)
    variables = model.trainable_variables
    replicas = computation.replicas
    if not optimiser.built:
        with replicas.scope():
            optimiser.build(variables)

    def learn(images, labels, share):
        with tf.GradientTape() as tape:
            logits = model(task.standardise(images), training=True)
            loss = weighted_cross_entropy(logits, labels, weights)
            loss = loss if share is None else loss * share
            scaled = optimiser.scale_loss(loss)
        optimiser.apply(tape.gradient(scaled, variables), variables)
        return loss

    if computation.jit_compile:
        # Augmentation is a program of its own, compiled already.
        learn = tf.function(learn, jit_compile=True)

    def step(images, labels, parameters):
        (images, labels, parameters), share = replicas.share((images, labels, parameters))
        if parameters:
            images, labels = augment.apply(images, labels, parameters, task.window)
        return learn(images, labels, share)

    return replicas.compiled(step)


def validation_step(
    model: keras.Model, task: Task, computation: Computation = PLAIN
) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
    """A compiled step: (images, labels, {}) to the batch's loss and its overlap counts."""
    weights = tf.constant(task.class_weights, tf.float32)
    replicas = computation.replicas

    def step(images, labels, parameters):
        (images, labels, _), share = replicas.share((images, labels, parameters))
        logits = model(task.standardise(images), training=False)
        loss = weighted_cross_entropy(logits, labels, weights)
        overlap = class_overlap(logits, labels, len(task.class_weights))
        return (loss, overlap) if share is None else (loss * share, overlap * tf.sign(share))

    return replicas.compiled(step)


def validate(
    step: Callable, batches: tf.data.Dataset, classes: tuple[str, ...]
) -> dict[str, float]:
    """Loss and pooled Dice over a validation set.

    Returns ``val_loss`` (mean over slices), ``val_dice_<class>`` for every class but background,
    ``val_dice_any_lesion`` where there are several kinds of lesion, and ``val_dice``: the mean
    over the kinds of lesion (over the liver where there is none). The Dice of a class that is
    neither there nor predicted is left out.
    """
    losses, sizes, counts = [], [], np.zeros((3, len(classes) + 1))
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
    if len(classes) > 3 and np.isfinite(dice[-1]):
        named["val_dice_any_lesion"] = float(dice[-1])
    kinds = classes[2:] or classes[1:]
    present = [named[f"val_dice_{name}"] for name in kinds if f"val_dice_{name}" in named]
    return {
        "val_loss": float(np.average(losses, weights=sizes)),
        "val_dice": float(np.mean(present)) if present else 0.0,
        **named,
    }

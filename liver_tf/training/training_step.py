"""One training step: augmentation, forward pass, loss, backward pass, update."""

from collections.abc import Callable

import keras
import tensorflow as tf

from liver_tf.pipeline.augmentation import augment
from liver_tf.training.replicas import ONE_DEVICE, OneDevice
from liver_tf.training.task import Task


def training_step(
    model: keras.Model,
    optimiser: keras.Optimizer,
    task: Task,
    *,
    jit_compile: bool = False,
    replicas: OneDevice = ONE_DEVICE,
    after_update: Callable[[], None] = lambda: None,
) -> Callable[..., tf.Tensor]:
    """Make a compiled step: (images, labels, augmentation parameters) to the batch's loss.

    After freezing other blocks a new step is needed. ``after_update`` is traced at the end of it.
    """
    variables = model.trainable_variables
    if not optimiser.built:
        with replicas.scope():
            optimiser.build(variables)

    def learn(images, labels, share):
        with tf.GradientTape() as tape:
            logits = model(task.standardise(images), training=True)
            loss = task.loss(logits, labels)
            loss = loss if share is None else loss * share
            scaled = optimiser.scale_loss(loss)
        optimiser.apply(tape.gradient(scaled, variables), variables)
        after_update()
        return loss

    if jit_compile:
        # Augmentation is compiled separately.
        learn = tf.function(learn, jit_compile=True, autograph=False)

    def step(images, labels, parameters):
        (images, labels, parameters), share = replicas.share((images, labels, parameters))
        if parameters:
            images, labels = augment.apply(images, labels, parameters, task.window)
        return learn(images, labels, share)

    return replicas.compiled(step)

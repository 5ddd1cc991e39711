"""One cycle of training: freeze, train epoch by epoch, keep the best weights."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from liver_tf.labels import LabelSet
from liver_tf.pipeline.batches import BatchSource
from liver_tf.training.compiled_steps import CompiledSteps
from liver_tf.training.cycle_settings import CycleSettings
from liver_tf.training.early_stopping import has_ended
from liver_tf.training.input_wait import TimedBatches
from liver_tf.training.learning_rate import learning_rate
from liver_tf.training.open_cycle import OpenCycle
from liver_tf.training.replicas import OneDevice
from liver_tf.training.task import Task
from liver_tf.training.validation import validate


@dataclass(frozen=True)
class TrainingData:
    """Training and validation batches by batch size.

    Both are made when first needed: a finished run reads no records.
    """

    training: Callable[[int], BatchSource]
    validation: Callable[[int], BatchSource]


@dataclass(frozen=True)
class TrainingSetup:
    """What all cycles of a run share.

    Attributes:
      model: Its weights are those from which the next cycle starts.
      images: Number of overlay images for TensorBoard.
      say: Prints a line.
    """

    model: keras.Model
    task: Task
    label_set: LabelSet
    data: TrainingData
    steps: CompiledSteps
    replicas: OneDevice
    images: int = 0
    say: Callable[[str], None] = print


@dataclass(frozen=True)
class PlannedCycle:
    """A cycle and its place in the run.

    Attributes:
      folder: Of the cycle.
      first_epoch: Epochs that the cycles before it may use: each epoch has its own augmentation.
    """

    folder: Path
    settings: CycleSettings
    first_epoch: int
    title: str


def train_cycle(setup: TrainingSetup, cycle: PlannedCycle) -> dict:
    """Train one cycle and leave the model with its best weights.

    An interrupted cycle resumes after its last finished epoch and ends with the same weights as an
    undisturbed one.

    Returns:
      The content of ``cycle.json``.

    Raises:
      TrainingStopped: The loss is not finite, or a frozen block changed.
    """
    started = time.perf_counter()
    settings, first = cycle.settings, cycle.first_epoch
    step = setup.steps.begin(settings)
    training = setup.data.training(settings.batch_size)
    validation = setup.data.validation(settings.batch_size)
    run = OpenCycle(setup, cycle, validation)
    state = run.resume()
    epochs = training.epochs(first + state.epoch, first + settings.epochs)
    checks = validation.epochs(state.epoch, settings.epochs, shuffled=False)
    while not has_ended(state, settings):
        row = train_epoch(step, epochs, settings, setup.steps.optimiser, state.epoch)
        if math.isfinite(row["loss"]):
            row |= validate(setup.steps.validation, next(checks), setup.label_set.classes)
        state = run.commit(state, row)
    return run.close(state, started)


def train_epoch(
    step: Any,
    epochs: Any,
    settings: CycleSettings,
    optimiser: keras.Optimizer,
    epoch: int,
) -> dict:
    """Train on the next of ``epochs``; return the first columns of its row in the history."""
    rate = learning_rate(settings, epoch)
    optimiser.learning_rate.assign(rate)
    started = time.perf_counter()
    # Meanwhile the pipeline compiles augmentation and makes the first batch.
    step.prepare(*epochs.element_spec)
    batches = TimedBatches(epochs)
    # Losses are read at the end, so that no step waits for the one before it.
    losses = [
        (step(images, labels, parameters), images.shape[0])
        for images, labels, parameters in batches
    ]
    total, slices = 0.0, 0
    for loss, size in losses:
        total += float(loss) * size
        slices += size
    seconds = time.perf_counter() - started
    return {
        "epoch": epoch + 1,
        "learning_rate": rate,
        "loss": total / slices,
        "seconds": round(seconds, 3),
        "waiting_share": round(batches.seconds / seconds, 4),
    }

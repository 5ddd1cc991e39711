"""What a cycle of training starts from: network, data, compiled steps, and its place in the run."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras

from liver_tf.labels import LabelSet
from liver_tf.pipeline.batches import BatchSource
from liver_tf.training.compiled_steps import CompiledSteps
from liver_tf.training.cycle_settings import CycleSettings
from liver_tf.training.replicas import OneDevice
from liver_tf.training.task import Task


@dataclass(frozen=True)
class TrainingData:
    """Training and validation batches by batch size; no records are read before the first call."""

    training: Callable[[int], BatchSource]
    validation: Callable[[int], BatchSource]


@dataclass(frozen=True)
class TrainingSetup:
    """What all cycles of a run share.

    Attributes:
      model: The next cycle starts from its weights.
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
      first_epoch: Sum of the maximum epochs of all earlier cycles; selects the augmentation.
    """

    folder: Path
    settings: CycleSettings
    first_epoch: int
    title: str

"""All compiled steps of a run: traced once for every set of frozen blocks."""

from collections.abc import Callable

import keras
import numpy as np

from liver_tf.model.freezing import freeze
from liver_tf.training.computation import Computation
from liver_tf.training.cycle_settings import CycleSettings
from liver_tf.training.optimiser import make_optimiser
from liver_tf.training.task import Task
from liver_tf.training.training_step import training_step
from liver_tf.training.validation import validation_step


class CompiledSteps:
    """The training and validation steps for all cycles of a run.

    Attributes:
      validation: The validation step, which does not depend on frozen blocks.
      optimiser: Shared by all cycles, so that they can share traced steps. It is built for all
        weights; the moments of frozen blocks stay zero.
    """

    def __init__(self, model: keras.Model, task: Task, computation: Computation) -> None:
        self._model, self._task, self._computation = model, task, computation
        self._traced: dict[tuple, Callable] = {}
        replicas = computation.replicas
        self.validation = validation_step(model, task, replicas)
        freeze(model, ())
        self.optimiser = make_optimiser(computation.precision, replicas)
        with replicas.scope():
            self.optimiser.build(model.trainable_variables)
        # Moments start at zero. All other variables, such as the step count, are scalars.
        self._initial = [
            np.array(variable.numpy()) if len(variable.shape) == 0 else None
            for variable in self.optimiser.variables
        ]

    def begin(self, settings: CycleSettings) -> Callable:
        """Freeze the cycle's blocks, reset the optimiser and return the training step."""
        freeze(self._model, settings.fixed, settings.norm)
        for variable, value in zip(self.optimiser.variables, self._initial, strict=True):
            variable.assign(np.zeros(variable.shape, variable.dtype) if value is None else value)
        key = frozenset(settings.fixed), settings.norm
        if key not in self._traced:
            self._traced[key] = training_step(
                self._model,
                self.optimiser,
                self._task,
                jit_compile=self._computation.jit_compile,
                replicas=self._computation.replicas,
            )
        return self._traced[key]

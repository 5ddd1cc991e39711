"""All compiled steps of a run: traced once for every set of frozen blocks."""

import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np

from liver_tf.model.freezing import freeze
from liver_tf.training.computation import Computation
from liver_tf.training.cycle_settings import CycleSettings
from liver_tf.training.optimiser import make_optimiser, set_block_decay
from liver_tf.training.task import Task
from liver_tf.training.training_step import training_step
from liver_tf.training.validation import validation_step
from liver_tf.training.weight_average import WeightAverage


class CompiledSteps:
    """The training and validation steps for all cycles of a run.

    Attributes:
      validation: The validation step, which does not depend on frozen blocks.
      average: The averaged weights, if the cycle has them.
      optimiser: Shared by all cycles, so that they can share traced steps. It is built for all
        weights; the moments of frozen blocks stay zero.
    """

    def __init__(self, model: keras.Model, task: Task, computation: Computation) -> None:
        self._model, self._task, self._computation = model, task, computation
        self._traced: dict[tuple, Callable] = {}
        self._average: WeightAverage | None = None
        self.average: WeightAverage | None = None
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
        decay = settings.weight_average
        self.average = self._started_average() if decay else None
        set_block_decay(self.optimiser, settings.block_decay)
        key = frozenset(settings.fixed), settings.norm, decay, settings.block_decay
        if key not in self._traced:
            self._traced[key] = training_step(
                self._model,
                self.optimiser,
                self._task,
                jit_compile=self._computation.jit_compile,
                replicas=self._computation.replicas,
                after_update=partial(self._update_average, decay),
            )
        return self._traced[key]

    @property
    def variables(self) -> list[Any]:
        """What a cycle changes besides the weights: of the optimiser, and averages of weights."""
        return [*self.optimiser.variables, *(self.average.variables if self.average else ())]

    def averaged(self) -> contextlib.AbstractContextManager:
        """The context in which the model has its averaged weights, if the cycle has them."""
        return self.average.in_use() if self.average else contextlib.nullcontext()

    def _started_average(self) -> WeightAverage:
        if self._average is None:
            self._average = WeightAverage(self._model, self._computation.replicas)
        self._average.start()
        return self._average

    def _update_average(self, decay: float) -> None:
        if self.average:
            self.average.update(decay, self.optimiser.iterations)

"""The compiled steps of a run: traced once for every set of fixed blocks."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np

from liver_tf.model.freezing import freeze
from liver_tf.training.computation import Computation
from liver_tf.training.cycle_settings import CycleSettings
from liver_tf.training.step import Task, training_step, validation_step


class Steps:
    """Steps of training and validation for all cycles of a run.

    One optimiser serves all cycles, so that a step which was traced for an earlier cycle can be
    used again; ``begin`` makes it a fresh one.

    Attributes:
      check: the step of validation, which hangs on no fixed blocks.
      optimiser: knows all weights; those of fixed blocks have moments of zero.
    """

    def __init__(self, model: keras.Model, task: Task, computation: Computation) -> None:
        self._model, self._task, self._computation = model, task, computation
        self._traced: dict[tuple, Callable] = {}
        self.check = validation_step(model, task, computation)
        freeze(model, ())
        self.optimiser = computation.optimiser()
        with computation.replicas.scope():
            self.optimiser.build(model.trainable_variables)
        # Moments begin with zero; what else there is, the count of steps among it, is a number.
        self._beginning = [
            np.array(variable) if len(variable.shape) == 0 else None
            for variable in self.optimiser.variables
        ]

    def begin(self, settings: CycleSettings) -> Callable:
        """Hold a cycle's blocks, set the optimiser back, and return the step of training.

        The learning rate is set by every epoch.
        """
        freeze(self._model, settings.fixed, settings.norm)
        for variable, value in zip(self.optimiser.variables, self._beginning, strict=True):
            variable.assign(np.zeros(variable.shape, variable.dtype) if value is None else value)
        key = frozenset(settings.fixed), settings.norm
        if key not in self._traced:
            self._traced[key] = training_step(
                self._model, self.optimiser, self._task, self._computation
            )
        return self._traced[key]

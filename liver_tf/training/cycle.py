"""One cycle of training: freeze, train epoch by epoch, keep the best weights."""

import math
import time
from collections.abc import Iterator
from typing import Any

import keras

from liver_tf.training.cycle_settings import CycleSettings
from liver_tf.training.cycle_setup import PlannedCycle, TrainingSetup
from liver_tf.training.early_stopping import has_ended
from liver_tf.training.learning_rate import changes_within_epochs, learning_rate
from liver_tf.training.open_cycle import OpenCycle
from liver_tf.training.validation import validate


def train_cycle(setup: TrainingSetup, cycle: PlannedCycle) -> dict:
    """Train one cycle, restore its best weights in the model and return ``cycle.json``.

    An interrupted cycle resumes after its last finished epoch and ends with the same weights as an
    undisturbed one.

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
    if settings.keep_start and state.best_value is None:
        at_start = validate(
            setup.steps.validation, validation.epoch(0, shuffled=False), setup.label_set.classes
        )
        state = run.keep_start(state, {"epoch": 0, **at_start})
    while not has_ended(state, settings):
        used = time.process_time()
        steps = training.steps(first + state.epoch)
        row = train_epoch(step, epochs, settings, setup.steps.optimiser, state.epoch, steps)
        if math.isfinite(row["loss"]):
            with setup.steps.averaged():
                row |= validate(setup.steps.validation, next(checks), setup.label_set.classes)
        row["core_seconds"] = round(time.process_time() - used, 3)
        state = run.commit(state, row)
    return run.close(state, started)


def train_epoch(
    step: Any,
    epochs: Any,
    settings: CycleSettings,
    optimiser: keras.Optimizer,
    epoch: int,
    steps: int,
) -> dict:
    """Train on the next of ``epochs``; return the first columns of its row in the history.

    ``steps`` is the number of its batches. If the learning rate changes within the epoch, the
    history shows the one in its middle.
    """
    rate = learning_rate(settings, epoch + 0.5)
    optimiser.learning_rate.assign(rate)
    started = time.perf_counter()
    # Meanwhile the pipeline compiles augmentation and makes the first batch.
    step.prepare(*epochs.element_spec)
    batches = TimedBatches(epochs)
    # Losses are read after the last step, so that no step waits for the one before it.
    losses = []
    for number, batch in enumerate(batches):
        if changes_within_epochs(settings):
            progress = epoch + (number + 0.5) / steps
            optimiser.learning_rate.assign(learning_rate(settings, progress))
        losses.append((step(*batch), batch[0].shape[0]))
    total, slices = 0.0, 0
    for loss, size in losses:  # sum() would round differently from Python 3.12 on
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


class TimedBatches:
    """The batches of the next epoch, and the seconds spent waiting for them.

    ``seconds`` includes the time to get the epoch itself. On a GPU, where a step returns before it
    has been computed, it is an upper bound of the time lost.
    """

    def __init__(self, epochs: Iterator[Iterator]) -> None:
        self._epochs = epochs
        self.seconds = 0.0

    def __iter__(self) -> Iterator:
        batches = self._timed(self._epochs)
        while (batch := self._timed(batches)) is not None:
            yield batch

    def _timed(self, iterator: Iterator):
        started = time.perf_counter()
        try:
            return next(iterator, None)
        finally:
            self.seconds += time.perf_counter() - started

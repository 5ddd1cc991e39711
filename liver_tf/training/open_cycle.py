"""The folder of a cycle in training: resume, commit each epoch, close.

Only the chief process reads and writes the folder; methods return the same value in all processes.
"""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial

import tensorflow as tf

from liver_tf import atomic_files, run_files
from liver_tf.disk_full import disk_full_as_refusal
from liver_tf.machine import machine
from liver_tf.model.block_weights import block_hashes
from liver_tf.model.blocks import format_blocks
from liver_tf.model.weights_file import load_weights, save_weights
from liver_tf.pipeline.batches import BatchSource
from liver_tf.refusals import TrainingStopped
from liver_tf.training.cycle_setup import PlannedCycle, TrainingSetup
from liver_tf.training.cycle_state import CycleState, load_state, save_state
from liver_tf.training.early_stopping import is_better
from liver_tf.training.overlay_images import OverlayImages
from liver_tf.training.training_log import TrainingLog, write_history


class OpenCycle:
    """A cycle between its first epoch and its ``cycle.json``."""

    def __init__(self, setup: TrainingSetup, cycle: PlannedCycle, validation: BatchSource) -> None:
        self._settings, self._folder = cycle.settings, cycle.folder
        self._model, self._replicas = setup.model, setup.replicas
        self._steps = setup.steps
        self._open_log = partial(
            TrainingLog, cycle.folder, cycle.title, cycle.settings.epochs, say=setup.say
        )
        self._images = None
        if setup.images:
            self._images = OverlayImages(validation, setup.label_set, setup.task, setup.images)

    def resume(self) -> CycleState:
        """The state after the last finished epoch, with weights and optimiser restored."""
        state = self._state_from_chief(self._load)
        self._replicas.spread(self._model, self._steps.variables)
        return state

    def commit(self, state: CycleState, row: dict) -> CycleState:
        """Save a finished epoch: the weights if they are the best, then the new state.

        Args:
          state: The state before the epoch.
          row: The epoch's row of the history.

        Raises:
          TrainingStopped: A loss in ``row`` is not finite; nothing is saved.
        """
        return self._state_from_chief(lambda: self._store(state, row))

    def keep_start(self, state: CycleState, row: dict) -> CycleState:
        """Save the initial weights as the best ones so far.

        Args:
          row: Their validation results.
        """
        return self._state_from_chief(lambda: self._store_start(state, row))

    def close(self, state: CycleState, started: float) -> dict:
        """Restore the best weights, verify the frozen blocks, write the result, delete the state.

        ``started`` is the ``time.perf_counter`` at the start of the cycle.
        """
        self._replicas.from_chief(self._restore_best)
        self._replicas.spread(self._model)
        result = self._result(state) | {
            "seconds": round(time.perf_counter() - started, 1),
            "machine": machine(_gpus()),
        }
        return self._replicas.from_chief(lambda: self._finish(state, result))

    def _state_from_chief(self, work: Callable[[], CycleState]) -> CycleState:
        return CycleState(**self._replicas.from_chief(lambda: asdict(work())))

    def _load(self) -> CycleState:
        path = self._folder / run_files.STATE
        if path.exists():
            state = load_state(path, self._model, self._steps.variables)
        else:
            state = CycleState(hashes_before=block_hashes(self._model))
        self._log = self._open_log(done=state.epoch)
        return state

    @disk_full_as_refusal()
    def _store(self, state: CycleState, row: dict) -> CycleState:
        self._stop_if_not_finite(state, row)
        value = row[self._settings.monitor]
        better = is_better(value, state, self._settings)
        state = replace(state, epoch=state.epoch + 1, history=[*state.history, row])
        if better:
            state = replace(state, best_epoch=state.epoch, best_value=value)
            with self._steps.averaged():
                save_weights(self._folder / run_files.BEST_WEIGHTS, self._model)
        save_state(self._folder / run_files.STATE, self._model, self._steps.variables, state)
        self._log.epoch(row)
        if better and self._images:
            with self._steps.averaged():
                self._log.images(self._images.draw(self._model), state.epoch)
        return state

    @disk_full_as_refusal()
    def _store_start(self, state: CycleState, row: dict) -> CycleState:
        self._stop_if_not_finite(state, row)
        save_weights(self._folder / run_files.BEST_WEIGHTS, self._model)
        return replace(state, best_value=row[self._settings.monitor])

    def _stop_if_not_finite(self, state: CycleState, row: dict) -> None:
        for name, loss in (("loss", "training loss"), ("val_loss", "validation loss")):
            if math.isfinite(row.get(name, 0.0)):
                continue
            kept = "No epoch of this cycle was finished; the weights before the cycle are unchanged"
            if state.best_epoch:
                path = f"{self._folder.name}/{run_files.BEST_WEIGHTS}"
                kept = f"The last good weights are in {path} (epoch {state.best_epoch})"
            settings = self._settings
            raise TrainingStopped(
                f"the {loss} is not finite in epoch {row['epoch']} (frozen: "
                f"{format_blocks(settings.fixed)}, learning rate {settings.learning_rate:g}). "
                f"{kept}. Lower the learning rate in a new run."
            )

    def _restore_best(self) -> None:
        self._log.close()
        load_weights(self._folder / run_files.BEST_WEIGHTS, self._model)

    def _result(self, state: CycleState) -> dict:
        before, after = state.hashes_before, block_hashes(self._model)
        changed = [block for block in self._settings.fixed if after[block] != before[block]]
        if changed:
            raise TrainingStopped(
                f"frozen blocks changed during the cycle: {', '.join(changed)}. This is a bug in "
                "the program; the run is stopped and the cycle is not marked as finished."
            )
        return {
            "fixed": list(self._settings.fixed),
            "fixed_blocks_bit_identical": True,
            "hashes_before": before,
            "hashes_after": after,
            "epochs": state.epoch,
            "best_epoch": state.best_epoch,
            "monitor": self._settings.monitor,
            "best_value": state.best_value,
        }

    @disk_full_as_refusal()
    def _finish(self, state: CycleState, result: dict) -> dict:
        write_history(self._folder / run_files.HISTORY, state.history)
        atomic_files.write_json(self._folder / run_files.CYCLE_RESULT, result)
        (self._folder / run_files.STATE).unlink(missing_ok=True)
        return result


def _gpus() -> list[str]:
    """Names of the GPUs that TensorFlow may use."""
    visible = tf.config.get_visible_devices("GPU")
    details = (tf.config.experimental.get_device_details(gpu) for gpu in visible)
    return [str(each.get("device_name", "GPU")) for each in details]

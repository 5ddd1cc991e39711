"""One cycle: freeze, fit with a fresh optimiser, keep the best, prove what was fixed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import keras

from liver_tf import atomic_files, run_files
from liver_tf.disk_full import disk_full_as_refusal
from liver_tf.labels import LabelSet
from liver_tf.model.blocks import short
from liver_tf.model.freezing import block_hashes
from liver_tf.model.weights_file import load_weights, save_weights
from liver_tf.pipeline.batches import BatchSource
from liver_tf.refusals import TrainingStopped
from liver_tf.training.computation import Computation
from liver_tf.training.cycle_settings import CycleSettings
from liver_tf.training.diary import Album, Diary, write_history
from liver_tf.training.state import Progress, load_state, save_state
from liver_tf.training.step import Task, validate
from liver_tf.training.steps import Steps
from liver_tf.training.waiting import Waiting


def train_cycle(
    model: keras.Model,
    training: BatchSource,
    validation: BatchSource,
    settings: CycleSettings,
    task: Task,
    label_set: LabelSet,
    folder: Path,
    *,
    steps: Steps,
    first_epoch: int,
    title: str,
    computation: Computation,
    pictures: int,
    say: Callable[[str], None],
) -> dict:
    """Train one cycle and leave the model with the cycle's best weights.

    A cycle that was interrupted goes on after its last finished epoch and ends with the weights
    it would have had. ``first_epoch`` sets the cycle's place in the run's stream of augmentation.
    Every epoch that is better than those before draws ``pictures`` validation slices.

    Returns what ``cycle.json`` holds. Raises ``TrainingStopped`` where the loss is not a finite
    number, or where a frozen block moved.
    """
    replicas = computation.replicas
    optimiser, step = steps.optimiser, steps.begin(settings)
    progress = Progress(**replicas.from_chief(lambda: vars(_begun(folder, model, optimiser))))
    replicas.spread(model, optimiser)
    diary = album = None
    if replicas.is_chief:
        diary = Diary(folder, title, settings.epochs, progress.epoch, say)
        album = Album(validation, label_set, task, pictures) if pictures else None
    started = time.perf_counter()
    last = first_epoch + settings.epochs
    epochs = training.epochs(first_epoch + progress.epoch, last)
    checks = validation.epochs(progress.epoch, settings.epochs, shuffled=False)

    @disk_full_as_refusal()
    def finish_epoch() -> None:
        better = _is_better(progress.history[-1][settings.monitor], progress, settings)
        if better:
            progress.best_epoch = progress.epoch
            progress.best_value = progress.history[-1][settings.monitor]
            save_weights(folder / run_files.BEST_WEIGHTS, model)
        save_state(folder / run_files.STATE, model, optimiser, progress)
        diary.epoch(progress.history[-1])
        if better and album:
            diary.pictures(album.draw(model), progress.epoch)

    def store() -> dict:
        if replicas.is_chief:
            finish_epoch()
        return vars(progress)

    while progress.epoch < settings.epochs and _has_patience(progress, settings):
        row = _train_epoch(step, epochs, settings, optimiser, progress.epoch)
        if math.isfinite(row["loss"]):
            row |= validate(steps.check, next(checks), label_set.classes)
        row = replicas.from_chief(lambda row=row: row)
        _stop_where_not_finite(row, settings, progress, folder)
        progress.history.append(row)
        progress.epoch += 1
        progress = Progress(**replicas.from_chief(store))
    if diary:
        diary.close()
    replicas.from_chief(lambda: load_weights(folder / run_files.BEST_WEIGHTS, model))
    replicas.spread(model)
    result = _prove(model, settings, progress)
    result["seconds"] = round(time.perf_counter() - started, 1)
    return replicas.from_chief(lambda: _close(folder, progress, result))


def _begun(folder: Path, model: keras.Model, optimiser: keras.Optimizer) -> Progress:
    if (folder / run_files.STATE).exists():
        return load_state(folder / run_files.STATE, model, optimiser)
    return Progress(hashes_before=block_hashes(model))


@disk_full_as_refusal()
def _close(folder: Path, progress: Progress, result: dict) -> dict:
    write_history(folder / run_files.HISTORY, progress.history)
    atomic_files.write_json(folder / run_files.CYCLE_RESULT, result)
    (folder / run_files.STATE).unlink(missing_ok=True)
    return result


def _train_epoch(step, epochs, settings, optimiser, epoch) -> dict:
    rate = settings.rate_in(epoch)
    optimiser.learning_rate.assign(rate)
    total, slices = 0.0, 0
    started = time.perf_counter()
    losses = []
    # The pipeline compiles augmentation and makes the first batch meanwhile.
    step.prepare(*epochs.element_spec)
    batches = Waiting(epochs)
    for images, labels, parameters in batches:
        losses.append((step(images, labels, parameters), images.shape[0]))
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


def _stop_where_not_finite(
    row: dict, settings: CycleSettings, progress: Progress, folder: Path
) -> None:
    wrong = [name for name in ("loss", "val_loss") if not math.isfinite(row.get(name, 0.0))]
    if not wrong:
        return
    what = {"loss": "training loss", "val_loss": "validation loss"}[wrong[0]]
    if progress.best_epoch:
        best = f"{folder.name}/{run_files.BEST_WEIGHTS}"
        kept = f"The last good weights are in {best} (epoch {progress.best_epoch})"
    else:
        kept = "No epoch of this cycle was finished; what the cycle began with is unchanged"
    raise TrainingStopped(
        f"the {what} is no longer a finite number in epoch {row['epoch']} (fixed: "
        f"{short(settings.fixed)}, learning rate {settings.learning_rate:g}). {kept}. Lower the "
        "learning rate in a new run."
    )


def _has_patience(progress: Progress, settings: CycleSettings) -> bool:
    return progress.epoch - progress.best_epoch < settings.patience


def _is_better(value: float, progress: Progress, settings: CycleSettings) -> bool:
    if progress.best_epoch == 0:
        return True
    if settings.monitor == "val_loss":
        return value < progress.best_value
    return value > progress.best_value


def _prove(model: keras.Model, settings: CycleSettings, progress: Progress) -> dict:
    after = block_hashes(model)
    before = progress.hashes_before
    moved = [block for block in settings.fixed if after[block] != before[block]]
    if moved:
        raise TrainingStopped(
            f"frozen blocks changed during the cycle: {', '.join(moved)}. This is a fault of the "
            "program; the run is stopped and its cycle is not marked as finished."
        )
    return {
        "fixed": list(settings.fixed),
        "fixed_blocks_bit_identical": True,
        "hashes_before": before,
        "hashes_after": after,
        "epochs": progress.epoch,
        "best_epoch": progress.best_epoch,
        "monitor": settings.monitor,
        "best_value": progress.best_value,
    }

"""One cycle: freeze, compile with a fresh optimiser, fit, keep the best, prove what was fixed."""

from __future__ import annotations

import csv
import io
import math
import time
from pathlib import Path

import keras
import tensorflow as tf
from tqdm import tqdm

from liver_tf import atomic_files
from liver_tf.model.freezing import block_hashes, freeze
from liver_tf.model.weights_file import load_weights, save_weights
from liver_tf.pipeline.batches import BatchSource
from liver_tf.refusals import TrainingStopped
from liver_tf.training.protocol import CycleSettings, short
from liver_tf.training.state import Progress, load_state, save_state
from liver_tf.training.step import Task, training_step, validate, validation_step

BEST, STATE, RESULT, HISTORY = "best.npz", "state.npz", "cycle.json", "history.csv"


def train_cycle(
    model: keras.Model,
    training: BatchSource,
    validation: BatchSource,
    settings: CycleSettings,
    task: Task,
    classes: tuple[str, ...],
    folder: Path,
    *,
    first_epoch: int,
    title: str,
) -> dict:
    """Train one cycle and leave the model with the cycle's best weights.

    A cycle that was interrupted goes on after its last finished epoch and ends with the weights
    it would have had. ``first_epoch`` sets the cycle's place in the run's stream of augmentation.

    Returns what ``cycle.json`` holds. Raises ``TrainingStopped`` where the loss is not a finite
    number, or where a frozen block moved.
    """
    freeze(model, settings.fixed, settings.norm)
    optimiser = keras.optimizers.Adam(settings.learning_rate)
    step = training_step(model, optimiser, task)
    check = validation_step(model, task)
    if (folder / STATE).exists():
        progress = load_state(folder / STATE, model, optimiser)
    else:
        progress = Progress(hashes_before=block_hashes(model))
    writer = tf.summary.create_file_writer(str(folder / "tensorboard"))
    bar = tqdm(total=settings.epochs, initial=progress.epoch, desc=title, unit="epoch", leave=True)
    started = time.perf_counter()
    while progress.epoch < settings.epochs and _has_patience(progress, settings):
        row = _train_epoch(step, training, settings, optimiser, progress.epoch, first_epoch)
        row |= validate(check, validation.epoch(0, shuffled=False), classes)
        if not math.isfinite(row["val_loss"]):
            raise TrainingStopped(_not_finite("validation loss", row["epoch"], settings))
        progress.history.append(row)
        progress.epoch += 1
        if _is_better(row[settings.monitor], progress, settings):
            progress.best_epoch, progress.best_value = progress.epoch, row[settings.monitor]
            save_weights(folder / BEST, model)
        save_state(folder / STATE, model, optimiser, progress)
        _log(writer, row)
        bar.set_postfix(loss=f"{row['loss']:.3f}", dice=f"{row['val_dice']:.3f}")
        bar.update()
    bar.close()
    writer.close()
    load_weights(folder / BEST, model)
    result = _prove(model, settings, progress)
    result["seconds"] = round(time.perf_counter() - started, 1)
    _write_history(folder / HISTORY, progress.history)
    atomic_files.write_json(folder / RESULT, result)
    (folder / STATE).unlink()
    return result


def _train_epoch(step, training, settings, optimiser, epoch, first_epoch) -> dict:
    rate = settings.rate_in(epoch)
    optimiser.learning_rate.assign(rate)
    total, slices = 0.0, 0
    started = time.perf_counter()
    losses = []
    for images, labels, parameters in training.epoch(first_epoch + epoch):
        losses.append((step(images, labels, parameters), images.shape[0]))
    for loss, size in losses:
        total += float(loss) * size
        slices += size
    if not math.isfinite(total):
        raise TrainingStopped(_not_finite("training loss", epoch + 1, settings))
    return {
        "epoch": epoch + 1,
        "learning_rate": rate,
        "loss": total / slices,
        "seconds": round(time.perf_counter() - started, 3),
    }


def _not_finite(what: str, epoch: int, settings: CycleSettings) -> str:
    return (
        f"the {what} is no longer a finite number in epoch {epoch} (fixed: "
        f"{short(settings.fixed)}, learning rate {settings.learning_rate:g}). What was finished "
        "before stays in the run's folder; lower the learning rate in a new run."
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


def _log(writer, row: dict) -> None:
    with writer.as_default(step=row["epoch"]):
        for name, value in row.items():
            if name != "epoch":
                tf.summary.scalar(name, value)
    writer.flush()


def _write_history(path: Path, rows: list[dict]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    atomic_files.write_text(path, text.getvalue())

"""What a cycle tells while it runs: a progress bar or lines, TensorBoard scalars and pictures."""

from __future__ import annotations

import csv
import errno
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from liver_tf import atomic_files, run_files
from liver_tf.disk_full import disk_full_as_refusal
from liver_tf.labels import LabelSet
from liver_tf.training import pictures
from liver_tf.training.step import Task


class Diary:
    """Told of every finished epoch.

    On a terminal there is a bar per cycle, elsewhere a line per epoch.
    """

    def __init__(
        self, folder: Path, title: str, epochs: int, done: int, say: Callable[[str], None]
    ) -> None:
        self._title, self._epochs, self._say = title, epochs, say
        with disk_full_as_refusal(), _full_disk_as_os_error():
            self._writer = tf.summary.create_file_writer(str(folder / run_files.TENSORBOARD))
        self._bar = tqdm(
            total=epochs, initial=done, desc=title, unit="epoch", leave=True, disable=None
        )

    def epoch(self, row: dict) -> None:
        """Take down an epoch's row of the history."""
        with self._writer.as_default(step=row["epoch"]):
            for name, value in row.items():
                if name != "epoch":
                    tf.summary.scalar(name, value)
            self._writer.flush()
        told = {
            name: f"{row[key]:.3f}"
            for name, key in (("loss", "loss"), ("val_loss", "val_loss"), ("dice", "val_dice"))
        }
        if self._bar.disable:
            figures = ", ".join(f"{name} {value}" for name, value in told.items())
            self._say(f"{self._title}: epoch {row['epoch']} of {self._epochs}, {figures}")
        self._bar.set_postfix(told)
        self._bar.update()

    def pictures(self, drawn: np.ndarray, epoch: int) -> None:
        """Put pictures, uint8 [n, rows, columns, 3], beside the epoch's scalars."""
        with self._writer.as_default(step=epoch):
            tf.summary.image("truth_and_prediction", drawn, max_outputs=len(drawn))
            self._writer.flush()

    def close(self) -> None:
        self._bar.close()
        self._writer.close()


class Album:
    """A fixed few validation slices, drawn anew whenever the validation is better than before."""

    def __init__(self, validation, label_set: LabelSet, task: Task, count: int) -> None:
        self._validation, self._label_set, self._task = validation, label_set, task
        self._count = count
        self._slices: tuple[np.ndarray, np.ndarray] | None = None

    def draw(self, model: keras.Model) -> np.ndarray:
        """Pictures of ``pictures.outlined`` with the model's present weights."""
        if self._slices is None:
            self._slices = pictures.choose(self._validation.epoch(0, shuffled=False), self._count)
        hu, truth = self._slices
        logits = model(self._task.standardise(tf.constant(hu)), training=False)
        predicted = tf.argmax(logits, axis=-1).numpy()
        return pictures.outlined(hu, truth, predicted, self._label_set, self._task.window)


@contextmanager
def _full_disk_as_os_error() -> Iterator[None]:
    """TensorFlow reports in its own way that a log cannot be begun; afterwards it keeps silent."""
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        raise OSError(errno.ENOSPC, error.message) from error


def write_history(path: Path, rows: list[dict]) -> None:
    """Write a row per epoch as CSV; a measure that an epoch lacks stays empty."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    atomic_files.write_text(path, text.getvalue())

"""Training log of a cycle: progress bar or lines, TensorBoard, and ``history.csv``."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from liver_tf import atomic_files, run_files
from liver_tf.csv_text import csv_text
from liver_tf.disk_full import disk_full_as_refusal, tensorflow_write_errors


class TrainingLog:
    """Reports every epoch: as a progress bar on a terminal, otherwise as a line; to TensorBoard."""

    def __init__(
        self, folder: Path, title: str, epochs: int, *, done: int, say: Callable[[str], None]
    ) -> None:
        self._title, self._epochs, self._say = title, epochs, say
        with disk_full_as_refusal(), tensorflow_write_errors():  # later ones fail silently
            self._writer = tf.summary.create_file_writer(str(folder / run_files.TENSORBOARD))
        self._bar = tqdm(
            total=epochs, initial=done, desc=title, unit="epoch", leave=True, disable=None
        )

    def epoch(self, row: dict) -> None:
        """Report a row of the history."""
        with self._writer.as_default(step=row["epoch"]):
            for name, value in row.items():
                if name != "epoch":
                    tf.summary.scalar(name, value)
            self._writer.flush()
        names = {"loss": "loss", "val_loss": "val_loss", "dice": "val_dice"}
        shown = {name: f"{row[key]:.3f}" for name, key in names.items()}
        if self._bar.disable:
            figures = ", ".join(f"{name} {value}" for name, value in shown.items())
            self._say(f"{self._title}: epoch {row['epoch']} of {self._epochs}, {figures}")
        self._bar.set_postfix(shown)
        self._bar.update()

    def images(self, drawn: np.ndarray, epoch: int) -> None:
        """Write overlay images, uint8 [n, rows, columns, 3], to TensorBoard."""
        with self._writer.as_default(step=epoch):
            tf.summary.image("truth_and_prediction", drawn, max_outputs=len(drawn))
            self._writer.flush()

    def close(self) -> None:
        self._bar.close()
        self._writer.close()


def write_history(path: Path, rows: list[dict]) -> None:
    """Write one row per epoch as CSV; missing measures are empty."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = [names, *([row.get(name) for name in names] for row in rows)]
    atomic_files.write_text(path, csv_text(table))

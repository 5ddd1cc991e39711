"""Overlay images for TensorBoard: outlines of truth and prediction on a few validation slices."""

import keras
import numpy as np
import tensorflow as tf

from liver_tf.labels import LIVER, LabelSet
from liver_tf.pipeline.batches import BatchSource
from liver_tf.training.task import Task

_GAP = 2


class OverlayImages:
    """A few fixed validation slices, drawn with the model's current weights."""

    def __init__(
        self, validation: BatchSource, label_set: LabelSet, task: Task, count: int
    ) -> None:
        self._validation, self._label_set, self._task = validation, label_set, task
        self._count = count
        self._slices: tuple[np.ndarray, np.ndarray] | None = None

    def draw(self, model: keras.Model) -> np.ndarray:
        """Predict the slices with ``model`` and outline them, as ``outlined``."""
        if self._slices is None:
            self._slices = choose(self._validation.epoch(0, shuffled=False), self._count)
        hu, truth = self._slices
        logits = model(self._task.standardise(tf.constant(hu)), training=False)
        predicted = tf.argmax(logits, axis=-1).numpy()
        return outlined(hu, truth, predicted, self._label_set, self._task.window)


def choose(batches: tf.data.Dataset, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Choose up to ``count`` evenly spaced slices: with a lesion, else with liver, else any.

    Returns:
      HU float32 [n, s, s] and labels uint8 [n, s, s].
    """
    highest = np.concatenate([labels.numpy().max(axis=(1, 2)) for _, labels, _ in batches])
    for least in (LIVER + 1, LIVER, 0):
        places = np.flatnonzero(highest >= least)
        if len(places):
            break
    chosen = set(places[np.linspace(0, len(places) - 1, min(count, len(places))).astype(int)])
    slices = [
        (image, label)
        for number, (image, label, _) in enumerate(batches.unbatch().as_numpy_iterator())
        if number in chosen
    ]
    return np.stack([image for image, _ in slices]), np.stack([label for _, label in slices])


def outlined(
    hu: np.ndarray,
    truth: np.ndarray,
    predicted: np.ndarray,
    label_set: LabelSet,
    window: tuple[int, int],
) -> np.ndarray:
    """Outline labels in their colours: truth on the left, prediction on the right.

    Args:
      hu, truth, predicted: [n, rows, columns].
      window: (low, high) HU, drawn black and white.

    Returns:
      uint8 [n, rows, 2 x columns + gap, 3].
    """
    low, high = window
    grey = np.clip((hu - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    plain = np.repeat(grey[..., None], 3, axis=-1)
    gap = np.zeros((*plain.shape[:2], _GAP, 3), np.uint8)
    left, right = (_drawn(plain, labels, label_set) for labels in (truth, predicted))
    return np.concatenate([left, gap, right], axis=2)


def _drawn(plain: np.ndarray, labels: np.ndarray, label_set: LabelSet) -> np.ndarray:
    drawn = plain.copy()
    for label in range(1, len(label_set)):
        # The outline of the liver includes its lesions.
        region = labels >= LIVER if label == LIVER else labels == label
        drawn[_border(region)] = tuple(bytes.fromhex(label_set.colour(label)[1:]))
    return drawn


def _border(region: np.ndarray) -> np.ndarray:
    """Pixels of a region [n, rows, columns] with one of four neighbours outside it."""
    from scipy import ndimage

    cross = ndimage.generate_binary_structure(2, 1)[None]
    return region & ~ndimage.binary_erosion(region, cross)

"""Outlines of truth and prediction for TensorBoard: what the network makes of a few slices.

Drawn with plain arrays, pixel by pixel; ``evaluation/overlays.py`` draws for readers of a report.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from liver_tf.labels import LIVER, LabelSet

_GAP = 2


def choose(batches: tf.data.Dataset, count: int) -> tuple[np.ndarray, np.ndarray]:
    """A few slices to look at, spread evenly over those that show the most.

    Slices with a lesion are taken where there are any, else slices with liver, else any.

    Returns:
      HU float32 [n, s, s] and labels uint8 [n, s, s], n <= ``count``.
    """
    shown = np.concatenate([labels.numpy().max(axis=(1, 2)) for _, labels, _ in batches])
    for least in (LIVER + 1, LIVER, 0):
        places = np.flatnonzero(shown >= least)
        if len(places):
            break
    wanted = set(places[np.linspace(0, len(places) - 1, min(count, len(places))).astype(int)])
    chosen = [
        (image, label)
        for number, (image, label, _) in enumerate(batches.unbatch().as_numpy_iterator())
        if number in wanted
    ]
    return np.stack([image for image, _ in chosen]), np.stack([label for _, label in chosen])


def outlined(
    hu: np.ndarray,
    truth: np.ndarray,
    predicted: np.ndarray,
    label_set: LabelSet,
    window: tuple[int, int],
) -> np.ndarray:
    """The truth's outlines on the left, the prediction's on the right, in the labels' colours.

    Args:
      hu: [n, rows, columns]. truth, predicted: integer labels of the same shape.
      window: (low, high) HU, drawn black and white.

    Returns:
      uint8 [n, rows, 2 x columns + gap, 3].
    """
    low, high = window
    grey = np.clip((hu - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    plain = np.repeat(grey[..., None], 3, axis=-1)
    gap = np.zeros((*plain.shape[:2], _GAP, 3), np.uint8)
    sides = [_drawn(plain, labels, label_set) for labels in (truth, predicted)]
    return np.concatenate([sides[0], gap, sides[1]], axis=2)


def _drawn(plain: np.ndarray, labels: np.ndarray, label_set: LabelSet) -> np.ndarray:
    drawn = plain.copy()
    for label in range(1, len(label_set)):
        # The liver's outline goes round liver and lesions together.
        region = labels >= LIVER if label == LIVER else labels == label
        drawn[_border(region)] = tuple(bytes.fromhex(label_set.colour(label)[1:]))
    return drawn


def _border(region: np.ndarray) -> np.ndarray:
    """Pixels of a region [n, rows, columns] with a neighbour, of four, outside it."""
    padded = np.pad(region, ((0, 0), (1, 1), (1, 1)))
    middle = slice(1, -1)
    inside = (
        padded[:, :-2, middle]
        & padded[:, 2:, middle]
        & padded[:, middle, :-2]
        & padded[:, middle, 2:]
    )
    return region & ~inside

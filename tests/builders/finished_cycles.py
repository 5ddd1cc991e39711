"""Finished cycles of a run, and a search for a colour in their plots."""

import numpy as np
from PIL import Image

from liver_tf.results.training_history import FinishedCycle


def cycle(number=1, fixed=(), epochs=(), best=1, key="", seconds=10.0):
    return FinishedCycle(number, tuple(fixed), "val_loss", best, seconds, key, tuple(epochs))


def rows(*values, key="val_dice"):
    return [{"epoch": k, key: value} for k, value in enumerate(values, 1)]


def colour_columns(path, colour):
    """Shape of an image, and bool [rows, columns] of the pixels close to a colour."""
    image = np.asarray(Image.open(path).convert("RGB")).astype(int)
    near = np.abs(image - np.array(colour)).sum(axis=-1) < 40
    return image.shape, near

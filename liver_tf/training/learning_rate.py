"""The learning-rate schedules: a stepwise exponential decay, or half a cosine; after a warm-up."""

import math

from liver_tf.training.cycle_settings import COSINE, CycleSettings


def learning_rate(settings: CycleSettings, epochs: float) -> float:
    """The learning rate after a number of epochs of the cycle, which may be fractional.

    In the paper: 5e-5, x 0.9 every 2 epochs, at least 1e-8. The cosine (Loshchilov and Hutter 2017,
    "SGDR", without restarts) begins after the warm-up.
    """
    warmup, highest, floor = settings.warmup_epochs, settings.learning_rate, settings.floor
    if epochs < warmup:
        return highest * epochs / warmup
    if settings.schedule == COSINE:
        # A warm-up that is longer than the cycle leaves no room for the cosine.
        share = min((epochs - warmup) / max(settings.epochs - warmup, 1e-9), 1.0)
        return floor + max(highest - floor, 0.0) * (1.0 + math.cos(math.pi * share)) / 2.0
    return max(highest * settings.decay ** (epochs // settings.decay_epochs), floor)


def changes_within_epochs(settings: CycleSettings) -> bool:
    """Whether the learning rate differs between the steps of an epoch."""
    return settings.schedule == COSINE or settings.warmup_epochs > 0

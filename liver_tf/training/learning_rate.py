"""The learning-rate schedule: a stepwise exponential decay with a floor."""

from liver_tf.training.cycle_settings import CycleSettings


def learning_rate(settings: CycleSettings, epoch: int) -> float:
    """The learning rate of an epoch, counted from 0 in every cycle.

    In the paper: 5e-5, x 0.9 every 2 epochs, at least 1e-8.
    """
    decayed = settings.learning_rate * settings.decay ** (epoch // settings.decay_epochs)
    return max(decayed, settings.floor)

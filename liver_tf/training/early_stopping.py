"""Early stopping: which epoch is the best, and when a cycle ends."""

from liver_tf.training.cycle_settings import CycleSettings
from liver_tf.training.cycle_state import CycleState


def is_better(value: float, state: CycleState, settings: CycleSettings) -> bool:
    """Whether a value of the monitored measure is better than in all epochs of ``state``."""
    if state.best_value is None:
        return True
    if settings.monitor == "val_loss":
        return value < state.best_value
    return value > state.best_value


def has_ended(state: CycleState, settings: CycleSettings) -> bool:
    """Whether the cycle has reached its last epoch, or run out of patience."""
    without_improvement = state.epoch - state.best_epoch
    impatient = bool(settings.patience) and without_improvement >= settings.patience
    return state.epoch >= settings.epochs or impatient

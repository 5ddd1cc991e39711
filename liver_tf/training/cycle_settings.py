"""How one cycle trains. Needs no TensorFlow."""

from dataclasses import dataclass

from liver_tf.model.blocks import BLOCKS, NORM_POLICIES
from liver_tf.options import Options, option

MONITORS = ("val_loss", "val_dice", "val_corrected_dice", "epoch")
#: Learning-rate schedules.
STEP, COSINE = SCHEDULES = ("step", "cosine")


@dataclass(frozen=True)
class CycleSettings(Options):
    """How one cycle trains. The defaults are those of the paper's fine-tuning.

    Attributes:
      fixed: The frozen blocks: their weights and moving statistics do not change.
    """

    fixed: tuple[str, ...] = ()
    learning_rate: float = option(5e-5, "Learning rate of Adam at the start of a cycle.", above=0)
    epochs: int = option(80, "Maximum number of epochs of a cycle.", low=1)
    batch_size: int = option(1, "Slices per training step.", low=1)
    patience: int = option(
        12,
        "A cycle ends after this many epochs without improvement in validation. 0: never early.",
        low=0,
    )
    monitor: str = option(
        "val_loss",
        "The validation result that determines the best epoch and early stopping. "
        "val_corrected_dice: Dice of lesion (liver network: liver) after correction for the class "
        "weights. epoch: the last epoch is kept.",
        choices=MONITORS,
    )
    keep_start: bool = option(
        False,
        "The weights at the start of a cycle count as its epoch 0: they are kept if no epoch has a "
        "better validation result.",
        former=False,
    )
    weight_average: float = option(
        0.0,
        "Exponential moving average of the weights: the share that each step keeps, e.g. 0.99. "
        "Validation, and the weights that are kept, use the average. 0: off.",
        low=0,
        below=1,
        former=0.0,
    )
    norm: str = option(
        "update",
        "Batch normalisation of the trained blocks. update: moving statistics, scale and offset "
        "are updated. freeze_statistics: scale and offset only. inference: none of them.",
        choices=NORM_POLICIES,
    )
    schedule: str = option(
        STEP,
        "Learning rate within a cycle. step: multiplied by --rate_decay every --decay_epochs "
        "epochs, as in the paper. cosine: falls from step to step along half a cosine, to "
        "--rate_floor at the end of the last epoch.",
        flag="learning_rate_schedule",
        choices=SCHEDULES,
        former=STEP,
    )
    warmup_epochs: float = option(
        0.0,
        "Epochs at the start of a cycle in which the learning rate rises linearly from 0.",
        low=0,
        former=0.0,
    )
    block_decay: float = option(
        1.0,
        "Learning rate of a block as a share of that of the next block towards the output, e.g. "
        "0.5; the last layer has the full rate. 1: the same rate for all blocks.",
        above=0,
        high=1,
        former=1.0,
    )
    decay: float = option(0.9, "Factor applied to the learning rate.", flag="rate_decay", above=0)
    decay_epochs: int = option(2, "Epochs between two decays of the learning rate.", low=1)
    floor: float = option(
        1e-8, "The learning rate never falls below this.", flag="rate_floor", above=0
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if set(self.fixed) >= set(BLOCKS):
            raise ValueError("a cycle with all blocks frozen trains nothing")

    @property
    def trained(self) -> tuple[str, ...]:
        """The blocks that are not frozen."""
        return tuple(block for block in BLOCKS if block not in self.fixed)

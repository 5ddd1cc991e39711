"""How one cycle trains. Needs no TensorFlow."""

from dataclasses import dataclass

from liver_tf.model.blocks import BLOCKS, NORM_POLICIES
from liver_tf.options import Options, option

MONITORS = ("val_loss", "val_dice")


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
        12, "A cycle ends after this many epochs without improvement in validation.", low=1
    )
    monitor: str = option(
        "val_loss",
        "The validation result that determines the best epoch and early stopping.",
        choices=MONITORS,
    )
    norm: str = option(
        "update",
        "Batch normalisation of the trained blocks. update: moving statistics, scale and offset "
        "are updated. freeze_statistics: scale and offset only. inference: none of them.",
        choices=NORM_POLICIES,
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

"""The arms of the order study: each differs from another one in a single factor."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from liver_tf.model.blocks import ENCODER, format_blocks
from liver_tf.training.protocol import PRETRAINED, SCRATCH

#: The epochs of an arm must be a multiple of this: there are arms of one, five and six cycles.
EPOCH_STEP = 30

#: Share of a cycle in which the learning rate rises.
_WARMUP = 0.1

_FIXED_STATISTICS = "norm=freeze_statistics"


@dataclass(frozen=True)
class Arm:
    """A protocol of the study.

    Attributes:
      name: of the protocol and its runs.
      title: for figures and tables.
      frozen: the frozen blocks of each cycle, as in ``--cycle``.
      length: epochs as a multiple of those of the other arms.
      setting: of every cycle, as in ``--cycle``.
    """

    name: str
    title: str
    frozen: tuple[str, ...]
    start: str = PRETRAINED
    length: int = 1
    setting: str = ""

    def flags(self, epochs: int) -> tuple[str, ...]:
        """The protocol as flags of ``finetune``; ``epochs``: of all cycles of an ordinary arm."""
        each, rest = divmod(self.length * epochs, len(self.frozen))
        if rest:
            raise ValueError(f"{self.name}: {epochs} epochs are no multiple of its cycles")
        settings = f"epochs={each} warmup_epochs={_WARMUP * each:g} {self.setting}".rstrip()
        cycles = (f"--cycle={blocks} {settings}" for blocks in self.frozen)
        return (f"--protocol={self.name}", f"--start={self.start}", *cycles)


def unfreezing(order: Sequence[str]) -> tuple[str, ...]:
    """Frozen blocks of cycles that first freeze ``order``, then release its blocks one by one."""
    return tuple(
        format_blocks([block for block in ENCODER if block in order[released:]])
        for released in range(len(order) + 1)
    )


def random_order(replicate: int) -> tuple[str, ...]:
    """The encoder blocks in the random order of a replicate; each order is equally likely."""
    generator = np.random.default_rng((replicate, 5))
    return tuple(generator.permutation(ENCODER).tolist())


_NOTHING_5, _NOTHING_6 = ("none",) * 5, ("none",) * 6
_FREEZING = ("none", "enc1", "enc1-enc2", "enc1-enc3", "enc1-enc4")
_UNFREEZING = unfreezing(ENCODER[::-1])


def primary_arms(replicate: int) -> tuple[Arm, ...]:
    """The arms of the primary comparisons."""
    return (
        Arm("a_restarts", "nothing frozen, 5 cycles", _NOTHING_5),
        Arm("c_unfreezing", "unfreezing, deepest block first (paper)", _UNFREEZING),
        Arm("d_reverse", "unfreezing, first block first", unfreezing(ENCODER)),
        Arm("e_random", "unfreezing in random order", unfreezing(random_order(replicate))),
        Arm("f_freezing", "freezing, first block first (paper)", _FREEZING),
    )


#: The arms of the secondary comparisons.
SECONDARY_ARMS = (
    Arm("a6_restarts", "nothing frozen, 6 cycles", _NOTHING_6),
    Arm("b_one_cosine", "nothing frozen, 1 cycle", ("none",)),
    Arm("g_encoder_frozen", "encoder frozen, 6 cycles", ("enc1-enc5",) * 6),
    Arm("h_scratch", "from scratch, 5 cycles", _NOTHING_5, SCRATCH),
    Arm(
        "j_discriminative",
        "half the rate per block, 5 cycles",
        _NOTHING_5,
        setting="block_decay=0.5",
    ),
    Arm("a_fixed_statistics", "(a), statistics fixed", _NOTHING_5, setting=_FIXED_STATISTICS),
    Arm("c_fixed_statistics", "(c), statistics fixed", _UNFREEZING, setting=_FIXED_STATISTICS),
    Arm("f_fixed_statistics", "(f), statistics fixed", _FREEZING, setting=_FIXED_STATISTICS),
    Arm("i_scratch_4x", "from scratch, 5 cycles, 4 times the steps", _NOTHING_5, SCRATCH, 4),
)

PRIMARY, SECONDARY = GROUPS = ("primary", "secondary")


def arms_of(group: str, replicate: int) -> tuple[Arm, ...]:
    """The arms of ``primary`` or ``secondary``."""
    return primary_arms(replicate) if group == PRIMARY else SECONDARY_ARMS

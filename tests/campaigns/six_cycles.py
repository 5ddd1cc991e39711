"""A small run of six cycles that unfreezes the encoder block by block; a command for kill tests.

python -m tests.campaigns.six_cycles RUN RECORDS [CYCLES]
"""

from __future__ import annotations

import sys
from pathlib import Path

from liver_tf.model.blocks import ENCODER
from liver_tf.training.protocol import SCRATCH, Protocol
from tests.builders import tiny_run

CYCLES = len(ENCODER) + 1


def protocol(cycles: int = CYCLES) -> Protocol:
    """Hierarchical unfreezing as in the paper: from a frozen encoder to an entirely free one."""
    fixed = [ENCODER[: len(ENCODER) - number] for number in range(cycles)]
    return Protocol("six", SCRATCH, tuple(tiny_run.cycle(blocks, epochs=2) for blocks in fixed))


if __name__ == "__main__":
    count = int(sys.argv[3]) if len(sys.argv) > 3 else CYCLES
    tiny_run.train(Path(sys.argv[1]), Path(sys.argv[2]), protocol(count))

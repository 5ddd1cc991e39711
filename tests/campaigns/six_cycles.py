"""A small run of six cycles that releases the encoder block by block; a command, to be killed.

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
    """Like the paper's hierarchical unfreezing: first all of the encoder is fixed, at last none."""
    fixed = [ENCODER[: len(ENCODER) - number] for number in range(cycles)]
    return Protocol("six", SCRATCH, tuple(tiny_run.cycle(blocks, epochs=2) for blocks in fixed))


if __name__ == "__main__":
    wanted = int(sys.argv[3]) if len(sys.argv) > 3 else CYCLES
    tiny_run.carry_out(Path(sys.argv[1]), Path(sys.argv[2]), protocol(wanted))

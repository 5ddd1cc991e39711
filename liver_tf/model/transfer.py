"""Moving weights from a pre-trained network to one with another head, block by block."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import keras

from liver_tf.model.weights_file import assign, compare_blocks, load_arrays
from liver_tf.refusals import Refusal


@dataclass(frozen=True)
class TransferReport:
    """What a transfer did: blocks loaded, and blocks left fresh with the reason."""

    loaded: tuple[str, ...]
    fresh: dict[str, str]

    def text(self) -> str:
        lines = [f"loaded: {', '.join(self.loaded) or 'nothing'}"]
        lines += [f"fresh:  {block} ({why})" for block, why in self.fresh.items()]
        return "\n".join(lines)


def transfer(
    path: Path, model: keras.Model, *, fresh: tuple[str, ...] = ("head",)
) -> TransferReport:
    """Load every block but those of ``fresh`` from a weights file.

    The paper replaces the last layer, of 3 classes, by one of 5.

    Raises ``Refusal`` if any block that should be loaded differs in names or shapes.
    """
    arrays = load_arrays(path)
    matching, differing = compare_blocks(arrays, model)
    unexpected = {block: why for block, why in differing.items() if block not in fresh}
    if unexpected:
        raise Refusal(
            "weights-architecture",
            path,
            expected=f"pre-trained weights for every block but {', '.join(fresh)}",
            came=f"matching blocks: {', '.join(matching) or 'none'}; "
            f"differing: {'; '.join(f'{block} ({why})' for block, why in unexpected.items())}",
            remedy="Fine-tune with the image size and filters of the pre-training run.",
        )
    loaded = tuple(block for block in matching if block not in fresh)
    assign(model, arrays, loaded)
    return TransferReport(
        loaded, {block: differing.get(block, "replaced as asked") for block in fresh}
    )

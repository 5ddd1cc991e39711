"""Moving weights from a pre-trained network to one with another head, block by block."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from liver_tf.model.unet import HEAD
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


def transfer(path: Path, model: keras.Model, *, fresh: tuple[str, ...] = (HEAD,)) -> TransferReport:
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


def head_from_old(path: Path, model: keras.Model, lesion_classes: int) -> None:
    """Start the new head from the old one's columns instead of afresh.

    Background and liver take their own columns; every kind of lesion takes that of *lesion*, its
    bias lowered by the logarithm of the number of kinds, so that together they are as likely as
    the one lesion was.

    Args:
      path: weights of a network with the classes background, liver, lesion.
      model: a network with ``lesion_classes`` kinds of lesion after background and liver.

    Raises ``Refusal`` where the old head has other classes.
    """
    arrays = load_arrays(path)
    kernel, bias = arrays[f"{HEAD}_logits/kernel"], arrays[f"{HEAD}_logits/bias"]
    if kernel.shape[-1] != 3:
        raise Refusal(
            "old-head",
            path,
            expected="a head of 3 classes: background, liver, lesion",
            came=f"one of {kernel.shape[-1]}",
            remedy="Start from a fresh head (--head=fresh).",
        )
    columns = [0, 1] + [2] * lesion_classes
    shift = np.zeros(len(columns), bias.dtype)
    shift[2:] = np.log(lesion_classes)
    layer = model.get_layer(f"{HEAD}_logits")
    layer.kernel.assign(kernel[..., columns])
    layer.bias.assign(bias[columns] - shift)

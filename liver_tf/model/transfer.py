"""Moving weights from a pre-trained network to one with another head, block by block."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from liver_tf.labels import LabelSet
from liver_tf.model.blocks import HEAD
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

    The paper replaces the last layer, of 3 classes, by one of 5; here it may be of any label set.

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
            found=f"matching blocks: {', '.join(matching) or 'none'}; "
            f"differing: {'; '.join(f'{block} ({why})' for block, why in unexpected.items())}",
            remedy="Fine-tune with the image size and filters of the pre-training run.",
        )
    loaded = tuple(block for block in matching if block not in fresh)
    assign(model, arrays, loaded)
    return TransferReport(
        loaded, {block: differing.get(block, "replaced as asked") for block in fresh}
    )


_ANY_LESION = "lesion"


def head_from_old(
    path: Path, model: keras.Model, old: LabelSet, new: LabelSet
) -> dict[str, list[str]]:
    """Start the new head from the old one's columns instead of afresh.

    A class that the old head has too takes its own column. Other kinds of lesion take that of
    *lesion*. Where several share a column its bias is lowered by the logarithm of their number, so
    that together they are as likely as the one was.

    Args:
      path: weights of a network with the classes ``old``.
      model: a network with the classes ``new``.

    Returns the new classes by the old class whose column they took. Raises ``Refusal`` where a
    new class has no column to start from.
    """
    kinds = [name for name in new.classes if name not in old.classes]
    if kinds and _ANY_LESION not in old.classes:
        raise Refusal(
            "old-head",
            path,
            expected=f"a head with {', '.join(kinds)}, or with a class that is any lesion",
            found=f"one of {', '.join(old.classes)}",
            remedy="Start from a fresh head (--head=fresh).",
        )
    arrays = load_arrays(path)
    kernel, bias = arrays[f"{HEAD}_logits/kernel"], arrays[f"{HEAD}_logits/bias"]
    sources = [_ANY_LESION if name in kinds else name for name in new.classes]
    columns = [old.index(name) for name in sources]
    shift = [np.log(sources.count(source)) for source in sources]
    layer = model.get_layer(f"{HEAD}_logits")
    layer.kernel.assign(kernel[..., columns])
    layer.bias.assign(bias[columns] - np.array(shift, bias.dtype))
    taken: dict[str, list[str]] = {}
    for name, source in zip(new.classes, sources, strict=True):
        taken.setdefault(source, []).append(name)
    return taken

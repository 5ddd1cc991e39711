"""Transfer of pre-trained weights, block by block, to a network with another head."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from liver_tf.labels import LabelSet
from liver_tf.model.block_weights import assign
from liver_tf.model.blocks import HEAD
from liver_tf.model.prior_correction import prior_shift
from liver_tf.model.weights_file import block_report, compare_blocks, load_arrays
from liver_tf.refusals import Refusal

_ANY_LESION = "lesion"


@dataclass(frozen=True)
class TransferReport:
    """Blocks that were loaded, and blocks that keep their initial weights with the reason."""

    loaded: tuple[str, ...]
    fresh: dict[str, str]

    def text(self) -> str:
        lines = [f"loaded: {', '.join(self.loaded) or 'nothing'}"]
        lines += [f"fresh:  {block} ({reason})" for block, reason in self.fresh.items()]
        return "\n".join(lines)


def transfer(path: Path, model: keras.Model, *, fresh: tuple[str, ...] = (HEAD,)) -> TransferReport:
    """Load every block from a weights file except those in ``fresh``.

    The paper replaces the last layer of 3 classes by one of 5; any label set is supported.

    Raises:
      Refusal: A block that should be loaded differs in names or shapes; ``weights-damaged``.
    """
    arrays = load_arrays(path, finite=True)
    matching, differing = compare_blocks(arrays, model)
    unexpected = {block: why for block, why in differing.items() if block not in fresh}
    if unexpected:
        raise Refusal(
            "weights-architecture",
            path,
            expected=f"pre-trained weights for every block except {', '.join(fresh)}",
            found=block_report(matching, unexpected),
            remedy="Fine-tune with the image size and filters of the pre-training run.",
        )
    loaded = tuple(block for block in matching if block not in fresh)
    assign(model, arrays, loaded)
    return TransferReport(
        loaded, {block: differing.get(block, "replaced as requested") for block in fresh}
    )


def head_from_old(
    path: Path,
    model: keras.Model,
    old: LabelSet,
    new: LabelSet,
    class_weights: tuple[Sequence[float], Sequence[float]] | None = None,
) -> dict[str, list[str]]:
    """Initialise the new head from the columns of the old one.

    A class of the old head keeps its column; any other lesion type takes the column of *lesion*. If
    several classes share a column, its bias is lowered by the logarithm of their number, so that
    together they have the probability of the original class. Biases also follow the class weights:
    corrected for those of its loss, the new head has the probabilities of the corrected old one.

    Args:
      path: Weights of a network with the classes ``old``.
      model: A network with the classes ``new``.
      class_weights: Of the loss of the old head, and of the loss that the new one is trained with;
        None: biases do not depend on them.

    Returns:
      New classes by the old class whose column they took.

    Raises:
      Refusal: A new class has no column to start from.
    """
    kinds = [name for name in new.classes if name not in old.classes]
    if kinds and _ANY_LESION not in old.classes:
        raise Refusal(
            "old-head",
            path,
            expected=f"a head with {', '.join(kinds)}, or with a class for any lesion",
            found=f"a head with {', '.join(old.classes)}",
            remedy="Start from a fresh head (--head=fresh).",
        )
    arrays = load_arrays(path)
    kernel, bias = arrays[f"{HEAD}_logits/kernel"], arrays[f"{HEAD}_logits/bias"]
    sources = [_ANY_LESION if name in kinds else name for name in new.classes]
    columns = [old.index(name) for name in sources]
    shift = np.array([-np.log(sources.count(source)) for source in sources])
    if class_weights is not None:
        before, after = class_weights
        shift += prior_shift([before[column] for column in columns], after)
    layer = model.get_layer(f"{HEAD}_logits")
    layer.kernel.assign(kernel[..., columns])
    layer.bias.assign(bias[columns] + shift.astype(bias.dtype))
    taken: dict[str, list[str]] = {}
    for name, source in zip(new.classes, sources, strict=True):
        taken.setdefault(source, []).append(name)
    return taken

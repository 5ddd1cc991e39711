"""Freezing by block."""

from collections.abc import Iterable

import keras

from liver_tf.model.batch_norm import FusedBatchNormalization
from liver_tf.model.blocks import BLOCKS, NORM_POLICIES, block_of


def freeze(model: keras.Model, fixed: Iterable[str], norm: str = "update") -> None:
    """Freeze the blocks ``fixed`` and unfreeze all others.

    Only training steps traced afterwards are affected. ``model.trainable`` is not set, because it
    would overwrite the flags of the layers.

    Args:
      norm: Batch normalisation of the trained blocks, one of ``blocks.NORM_POLICIES``.
    """
    if norm not in NORM_POLICIES:
        raise ValueError(f"norm: expected one of {', '.join(NORM_POLICIES)}, got {norm!r}")
    fixed = set(fixed)
    unknown = fixed - set(BLOCKS)
    if unknown:
        raise ValueError(f"no such blocks: {sorted(unknown)}; the blocks are {', '.join(BLOCKS)}")
    for layer in model.layers:
        block = block_of(layer.name)
        if block is None:
            continue
        layer.trainable = block not in fixed
        if isinstance(layer, FusedBatchNormalization):
            layer.apply_policy(norm)

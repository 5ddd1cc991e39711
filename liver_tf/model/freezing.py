"""Freezing by block, and the proof that frozen means frozen."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import keras
import numpy as np

from liver_tf.model.blocks import BLOCKS, NORM_POLICIES, block_of
from liver_tf.model.normalisation import FusedBatchNormalization


def freeze(model: keras.Model, fixed: Iterable[str], norm: str = "update") -> None:
    """Hold ``fixed`` blocks and release all others, their batch normalisation as ``norm`` says.

    It counts for training steps traced afterwards. The parent's flag is never touched: setting it
    would overwrite those of its layers.
    """
    if norm not in NORM_POLICIES:
        raise ValueError(f"norm: expected one of {', '.join(NORM_POLICIES)}, got {norm!r}")
    fixed = set(fixed)
    unknown = fixed - set(BLOCKS)
    if unknown:
        raise ValueError(f"no such blocks: {sorted(unknown)}; there are {', '.join(BLOCKS)}")
    for layer in model.layers:
        block = block_of(layer.name)
        if block is None:
            continue
        layer.trainable = block not in fixed
        if isinstance(layer, FusedBatchNormalization):
            layer.learn_statistics = norm == "update"
            layer.trainable = layer.trainable and norm != "inference"


def weights_by_block(model: keras.Model) -> dict[str, dict[str, np.ndarray]]:
    """Copies of all weights, moving statistics included: block -> weight name -> array."""
    blocks: dict[str, dict[str, np.ndarray]] = {block: {} for block in BLOCKS}
    for layer in model.layers:
        block = block_of(layer.name)
        for weight in layer.weights:
            blocks[block][f"{layer.name}/{weight.name}"] = np.array(weight)
    return blocks


def block_hashes(model: keras.Model) -> dict[str, str]:
    """SHA-256 of every block's weights and moving statistics, by name, shape and bytes."""
    return {block: hash_of(arrays) for block, arrays in weights_by_block(model).items()}


def hash_of(arrays: dict[str, np.ndarray]) -> str:
    """SHA-256 of named arrays: names, shapes, dtypes and bytes."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Parameters:
    """How many numbers a block has.

    Attributes:
      convolution: kernels and biases. norm: scales and offsets of batch normalisation.
      statistics: its moving statistics, which no gradient moves.
    """

    convolution: int = 0
    norm: int = 0
    statistics: int = 0

    @property
    def total(self) -> int:
        return self.convolution + self.norm + self.statistics

    def trainable(self, norm_policy: str) -> int:
        """How many of a released block an optimiser moves."""
        return self.convolution + (0 if norm_policy == "inference" else self.norm)


def parameter_counts(model: keras.Model) -> dict[str, Parameters]:
    """Numbers of parameters of each block, whatever is frozen now."""
    counts = {block: Counter() for block in BLOCKS}
    for layer in model.layers:
        block = block_of(layer.name)
        for weight in layer.weights:
            kind = "convolution"
            if isinstance(layer, FusedBatchNormalization):
                kind = "statistics" if weight.name.startswith("moving_") else "norm"
            counts[block][kind] += int(np.prod(weight.shape))
    return {block: Parameters(**counted) for block, counted in counts.items()}

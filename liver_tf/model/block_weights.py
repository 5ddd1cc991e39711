"""Weights of a model by block: copies, assignment, hashes and counts."""

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import keras
import numpy as np

from liver_tf.model.batch_norm import FusedBatchNormalization
from liver_tf.model.blocks import BLOCKS, block_of


def weights_by_block(model: keras.Model) -> dict[str, dict[str, np.ndarray]]:
    """Copy all weights, moving statistics included: block -> ``enc1_conv1/kernel`` -> array."""
    blocks: dict[str, dict[str, np.ndarray]] = {block: {} for block in BLOCKS}
    for layer in model.layers:
        block = block_of(layer.name)
        for weight in layer.weights:
            blocks[block][f"{layer.name}/{weight.name}"] = np.array(weight.numpy())
    return blocks


def assign(
    model: keras.Model, arrays: Mapping[str, np.ndarray], blocks: Collection[str] = BLOCKS
) -> None:
    """Set the weights of ``blocks`` from arrays by name."""
    for layer in model.layers:
        if block_of(layer.name) in blocks:
            for weight in layer.weights:
                weight.assign(arrays[f"{layer.name}/{weight.name}"])


def block_hashes(model: keras.Model) -> dict[str, str]:
    """SHA-256 of every block's weights and moving statistics."""
    return {block: hash_of(arrays) for block, arrays in weights_by_block(model).items()}


def hash_of(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of named arrays: names, shapes, dtypes and bytes."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class ParameterCount:
    """Number of parameters of a block.

    Attributes:
      convolution: Kernels and biases.
      norm: Scales and offsets of batch normalisation.
      statistics: Its moving statistics, which have no gradient.
    """

    convolution: int = 0
    norm: int = 0
    statistics: int = 0

    @property
    def total(self) -> int:
        return self.convolution + self.norm + self.statistics

    def trainable(self, norm_policy: str) -> int:
        """Parameters that the optimiser updates if the block is not frozen."""
        return self.convolution + (0 if norm_policy == "inference" else self.norm)


def parameter_counts(model: keras.Model) -> dict[str, ParameterCount]:
    """Count the parameters of each block, frozen or not."""
    counts: dict[str, Counter[str]] = {block: Counter() for block in BLOCKS}
    for layer in model.layers:
        block = block_of(layer.name)
        for weight in layer.weights:
            kind = "convolution"
            if isinstance(layer, FusedBatchNormalization):
                kind = "statistics" if weight.name.startswith("moving_") else "norm"
            counts[block][kind] += int(np.prod(weight.shape))
    return {block: ParameterCount(**counted) for block, counted in counts.items()}

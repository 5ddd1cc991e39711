"""Weights on disk: an ``.npz`` without pickle, with a checksum that is verified on reading."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import keras
import numpy as np

from liver_tf import atomic_files
from liver_tf.bounded_files import open_npz
from liver_tf.model.block_weights import assign, hash_of, weights_by_block
from liver_tf.refusals import Refusal

_HASH = "sha256"

#: Errors of zip and numpy for a damaged file (RuntimeError: a flipped bit can mean "encrypted").
_OF_ZIP = (zipfile.BadZipFile, zlib.error)
_UNREADABLE = (*_OF_ZIP, ValueError, KeyError, TypeError, EOFError, OSError, RuntimeError)


def save_weights(path: Path, model: keras.Model) -> str:
    """Write all weights of a model by name (``enc1_conv1/kernel``); returns their hash."""
    blocks = weights_by_block(model).values()
    return save_arrays(path, {name: array for block in blocks for name, array in block.items()})


def load_weights(path: Path, model: keras.Model) -> None:
    """Read all weights into a model of the same architecture.

    Raises:
      Refusal: The file is missing or damaged, a weight is not finite, or blocks do not match.
    """
    arrays = load_arrays(path, finite=True)
    matching, differing = compare_blocks(arrays, model)
    if differing:
        raise Refusal(
            "weights-architecture",
            path,
            expected="weights of this architecture in every block",
            found=block_report(matching, differing),
            remedy="Build the network with the image size, filters and classes of that run.",
        )
    assign(model, arrays)


def save_arrays(path: Path, arrays: dict[str, np.ndarray], *, compressed: bool = False) -> str:
    """Write named arrays and their hash atomically; returns the hash."""
    digest = hash_of(arrays)
    with atomic_files.atomic_write(path) as temporary, open(temporary, "wb") as file:
        named: dict[str, Any] = {**arrays, _HASH: np.array(digest)}
        (np.savez_compressed if compressed else np.savez)(file, **named)
    return digest


def load_arrays(path: Path, *, finite: bool = False) -> dict[str, np.ndarray]:
    """Read a file of ``save_arrays``; raises ``Refusal`` if it is missing or damaged.

    ``finite``: also if a number is NaN or infinite.
    """
    if not path.is_file():
        raise Refusal(
            "no-weights",
            path,
            expected="a weights file",
            found="no such file",
            remedy="Train first, or name the folder of a finished run.",
        )
    try:
        with open_npz(path, completely=True) as stored:
            arrays = {name: stored[name] for name in stored.files}
        digest = str(arrays.pop(_HASH))
    except _UNREADABLE as error:
        raise _damaged(path, type(error).__name__) from None
    if hash_of(arrays) != digest:
        raise _damaged(path, "another SHA-256")
    if finite and not all(np.isfinite(array).all() for array in arrays.values()):
        raise _damaged(path, "numbers that are not finite")
    return arrays


def is_sound(path: Path) -> bool:
    """Whether a weights file exists and is undamaged."""
    try:
        load_arrays(path)
    except Refusal:
        return False
    return True


def stored_hash(path: Path) -> str:
    """The hash of a weights file; raises ``Refusal`` like ``load_arrays``."""
    return hash_of(load_arrays(path))


def _damaged(path: Path, found: str) -> Refusal:
    return Refusal(
        "weights-damaged",
        path,
        expected="finite weights that match the SHA-256 stored with them",
        found=found,
        remedy="Copy the file again from its source, or train again.",
    )


def compare_blocks(
    arrays: dict[str, np.ndarray], model: keras.Model
) -> tuple[list[str], dict[str, str]]:
    """Blocks whose names and shapes all match, and the reason for each of the others."""
    matching: list[str] = []
    differing: dict[str, str] = {}
    for block, weights in weights_by_block(model).items():
        stored = {name for name in arrays if name.split("_", 1)[0] == block}
        if stored != set(weights):
            differing[block] = f"{len(stored)} weights stored, {len(weights)} expected"
            continue
        for name, array in weights.items():
            if arrays[name].shape != array.shape:
                differing[block] = f"{name}: {arrays[name].shape} stored, {array.shape} expected"
                break
        else:
            matching.append(block)
    return matching, differing


def block_report(matching: list[str], differing: dict[str, str]) -> str:
    """The result of ``compare_blocks`` for an error message."""
    reasons = "; ".join(f"{block} ({reason})" for block, reason in differing.items())
    return f"matching blocks: {', '.join(matching) or 'none'}; differing: {reasons}"

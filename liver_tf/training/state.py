"""The state of an open cycle after its last finished epoch, as one file that is there or not."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np

from liver_tf.model.freezing import weights_by_block
from liver_tf.model.weights_file import assign, load_arrays, save_arrays
from liver_tf.refusals import Refusal

_MEMO = "memo"

#: What the operating system says when there is no more room: disk, quota, limit of a file's size.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def stopping_when_full() -> Iterator[None]:
    """Turn a full disk into a ``Refusal``, ``disk-full``, that tells how to go on."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise Refusal(
            "disk-full",
            error.filename,
            expected="a disk that takes what is written",
            found=os.strerror(error.errno),
            remedy="All epochs that were finished before are kept. Make room and give the same "
            "command again: it goes on there, and ends with the weights it would have had.",
        ) from error


@dataclass
class Progress:
    """Where a cycle stands.

    Attributes:
      epoch: epochs finished. best_epoch: counted from 1, 0 before the first.
      best_value: of the monitored measure. history: a row per epoch.
      hashes_before: of every block, when the cycle began.
    """

    epoch: int = 0
    best_epoch: int = 0
    best_value: float = 0.0
    history: list[dict] = field(default_factory=list)
    hashes_before: dict[str, str] = field(default_factory=dict)


def save_state(
    path: Path, model: keras.Model, optimiser: keras.optimizers.Optimizer, progress: Progress
) -> None:
    """Write weights, the optimiser's moments and the progress in one atomic file."""
    arrays: dict[str, np.ndarray] = {_MEMO: np.array(json.dumps(vars(progress)))}
    for block in weights_by_block(model).values():
        arrays.update({f"model/{name}": array for name, array in block.items()})
    for number, variable in enumerate(optimiser.variables):
        arrays[f"optimiser/{number}"] = np.array(variable)
    save_arrays(path, arrays)


def load_state(path: Path, model: keras.Model, optimiser: keras.optimizers.Optimizer) -> Progress:
    """Set a model and a built optimiser to the stored state and return the progress."""
    arrays = load_arrays(path)
    prefix = "model/"
    assign(
        model,
        {name[len(prefix) :]: value for name, value in arrays.items() if name.startswith(prefix)},
    )
    for number, variable in enumerate(optimiser.variables):
        variable.assign(arrays[f"optimiser/{number}"])
    return Progress(**json.loads(str(arrays[_MEMO])))

"""The state of an open cycle after its last finished epoch, as one file that is there or not."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np

from liver_tf.model.freezing import weights_by_block
from liver_tf.model.weights_file import assign, load_arrays, save_arrays

_MEMO = "memo"


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

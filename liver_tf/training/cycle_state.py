"""State of an unfinished cycle after its last epoch, saved as one atomic file.

``open_cycle.py`` resumes a cycle from it.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from liver_tf.bounded_files import parse_json
from liver_tf.model.block_weights import assign, weights_by_block
from liver_tf.model.blocks import BLOCKS
from liver_tf.model.weights_file import load_arrays, save_arrays
from liver_tf.refusals import Refusal
from liver_tf.run_files import STATE_PROGRESS

_MODEL = "model/"


@dataclass(frozen=True)
class CycleState:
    """Progress of a cycle.

    Attributes:
      epoch: Epochs finished.
      best_epoch: Counted from 1; 0 for the weights before the first epoch.
      best_value: The monitored measure in the best epoch; None if there is none yet.
      history: One row per epoch.
      hashes_before: Hash of every block at the start of the cycle.

    Raises:
      ValueError, KeyError, TypeError: A field is not as described.
    """

    epoch: int = 0
    best_epoch: int = 0
    best_value: float | None = None
    history: list[dict] = field(default_factory=list)
    hashes_before: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        counts = type(self.epoch) is int and type(self.best_epoch) is int
        if not (counts and 0 <= self.best_epoch <= self.epoch):
            raise ValueError("epoch, best_epoch: expected numbers of epochs")
        if self.best_value is not None and type(self.best_value) not in (int, float):
            raise ValueError("best_value: expected a number")
        if [row["epoch"] for row in self.history] != list(range(1, self.epoch + 1)):
            raise ValueError("history: expected a row per epoch")


def save_state(path: Path, model: keras.Model, variables: Iterable[Any], state: CycleState) -> None:
    """Write the weights, other variables (``CompiledSteps.variables``) and the progress."""
    arrays: dict[str, np.ndarray] = {STATE_PROGRESS: np.array(json.dumps(asdict(state)))}
    for block in weights_by_block(model).values():
        arrays.update({f"{_MODEL}{name}": array for name, array in block.items()})
    for number, variable in enumerate(variables):
        arrays[f"optimiser/{number}"] = np.array(variable.numpy())
    save_arrays(path, arrays)


def load_state(path: Path, model: keras.Model, variables: Iterable[Any]) -> CycleState:
    """Restore a model and the same other variables; return the progress.

    Raises:
      Refusal: ``weights-damaged``: as ``load_arrays``, or it is not what ``save_state`` wrote.
    """
    arrays = load_arrays(path)
    weights = {name: array for name, array in arrays.items() if name.startswith(_MODEL)}
    try:
        state = CycleState(**parse_json(str(arrays[STATE_PROGRESS])))
        if state.hashes_before.keys() != set(BLOCKS):
            raise ValueError("hashes of other blocks")
        assign(model, {name.removeprefix(_MODEL): array for name, array in weights.items()})
        for number, variable in enumerate(variables):
            variable.assign(arrays[f"optimiser/{number}"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refusal(
            "weights-damaged",
            path,
            expected="the state of this cycle as it was saved",
            found=f"another content ({type(error).__name__})",
            remedy="Delete this file and resume: the cycle is trained again.",
        ) from None
    return state

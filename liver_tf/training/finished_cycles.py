"""Reuse finished cycles: of this run, or of a neighbouring run with the same key."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from liver_tf import atomic_files, run_files
from liver_tf.bounded_files import read_json
from liver_tf.disk_full import disk_full_as_refusal
from liver_tf.model.block_weights import block_hashes
from liver_tf.model.blocks import format_blocks
from liver_tf.model.weights_file import is_sound, load_weights
from liver_tf.refusals import Refusal
from liver_tf.training.cycle_setup import PlannedCycle


def cycle_key(model: keras.Model, cycle: PlannedCycle, identity: dict[str, Any]) -> str:
    """Hash of everything that determines a cycle's outcome."""
    shared = {name: value for name, value in identity.items() if name != "protocol"}
    content = [block_hashes(model), cycle.settings.identity(), cycle.first_epoch, shared]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@disk_full_as_refusal()
def save_key(cycle: PlannedCycle, key: str) -> None:
    """Make a finished cycle available to neighbouring runs."""
    path = cycle.folder / run_files.CYCLE_KEY
    if not path.exists():
        atomic_files.write_text(path, key)


@disk_full_as_refusal()
def load_finished(
    model: keras.Model, cycle: PlannedCycle, key: str, say: Callable[[str], None]
) -> dict | None:
    """Load the best weights of a finished cycle, here or copied from a run with the same key.

    Returns:
      The content of ``cycle.json``, or None if the cycle is not finished.

    Raises:
      Refusal: ``cycle-differs``: the cycle does not follow from the one before it.
    """
    folder = cycle.folder
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / run_files.CYCLE_RESULT
    if not path.exists():
        _copy_from_another_run(cycle, key, say)
    if not path.exists():
        return None
    try:
        result = read_json(path)
        before, after = result["hashes_before"], result["hashes_after"]
    except (ValueError, KeyError, TypeError):
        raise _differs(folder, f"a {path.name} that cannot be read") from None
    if before != block_hashes(model):
        raise _differs(folder, "a cycle that started from other weights")
    load_weights(folder / run_files.BEST_WEIGHTS, model)
    if after != block_hashes(model):
        raise _differs(folder, "a cycle whose best weights are not those recorded in its result")
    (folder / run_files.STATE).unlink(missing_ok=True)
    say(cycle_summary(result, f"{cycle.title}: already finished"))
    return result


def cycle_summary(result: dict, title: str) -> str:
    """One line on a finished cycle, and on its frozen blocks, whose hashes did not change."""
    line = f"{title}: best epoch {result['best_epoch']} of {result['epochs']}"
    if result["fixed"]:
        frozen = format_blocks(result["fixed"])
        line += f"; hashes before and after: {frozen} bit-identical"
    return line


def _copy_from_another_run(cycle: PlannedCycle, key: str, say: Callable[[str], None]) -> None:
    runs = cycle.folder.parent.parent
    for path in sorted(runs.glob(f"*/cycle*/{run_files.CYCLE_KEY}")):
        source = path.parent
        if (
            source != cycle.folder
            and path.read_text(encoding="utf-8") == key
            and (source / run_files.CYCLE_RESULT).exists()
            and is_sound(source / run_files.BEST_WEIGHTS)
        ):
            for name in (run_files.BEST_WEIGHTS, run_files.HISTORY, run_files.CYCLE_RESULT):
                with atomic_files.atomic_write(cycle.folder / name) as temporary:
                    shutil.copyfile(source / name, temporary)
            origin = f"{source.parent.name}/{source.name}"
            say(f"{cycle.title}: identical to {origin}, copied from there")
            return


def _differs(folder: Path, found: str) -> Refusal:
    return Refusal(
        "cycle-differs",
        folder,
        expected="a finished cycle whose recorded hashes match those of the cycle before it",
        found=found,
        remedy="Delete the folders of this cycle and of all later ones and resume: they are "
        "trained again.",
    )

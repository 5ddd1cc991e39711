"""A run is a folder: a protocol carried out cycle by cycle, and what it takes to go on with it."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras

from liver_tf import atomic_files, run_files
from liver_tf.disk_full import disk_full_as_refusal
from liver_tf.model.blocks import short
from liver_tf.model.description import Description, load_description
from liver_tf.model.freezing import block_hashes
from liver_tf.model.weights_file import load_arrays, load_weights, save_weights
from liver_tf.pipeline.batches import BatchSource
from liver_tf.refusals import Refusal
from liver_tf.training.computation import Computation
from liver_tf.training.cycle import train_cycle
from liver_tf.training.cycle_settings import CycleSettings
from liver_tf.training.protocol import Protocol
from liver_tf.training.step import PLAIN, Task
from liver_tf.training.steps import Steps

VERSIONS = "versions"

_BRIEF = 60


@dataclass(frozen=True)
class Part:
    """A part of the data, made when it is first needed: a finished run never reads any."""

    training: Callable[[int], BatchSource]
    validation: Callable[[int], BatchSource]


def open_run(
    folder: Path, identity: dict[str, Any], versions: dict[str, str] | None = None
) -> str | None:
    """Begin a run, or go on with it.

    ``identity`` is everything that decides the weights, but for ``versions`` of libraries: going
    on under others is allowed, only the last bits may then differ. Returns a caution where they
    do differ, else None.

    Raises ``Refusal`` where the folder holds a run with another identity, and shows the
    difference: going on with other blocks, data or seed would silently mix two experiments.
    """
    identity = json.loads(json.dumps(identity))
    path = folder / run_files.IDENTITY
    if not path.exists():
        named = {VERSIONS: versions} if versions else {}
        with disk_full_as_refusal():
            atomic_files.write_json(path, identity | named)
        return None
    try:
        stored = dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        raise Refusal(
            "run-damaged",
            path,
            expected="the JSON with which the run began",
            found="something else",
            remedy="Delete the run's folder and start again, or name another one.",
        ) from None
    began_with = stored.pop(VERSIONS, None)
    if stored != identity:
        raise Refusal(
            "run-differs",
            folder,
            expected="the arguments and data with which this run began",
            found="; ".join(_differences(stored, identity)),
            remedy="Give the same arguments to go on, or another folder by --run or --runs.",
        )
    if versions and began_with and began_with != versions:
        differences = "; ".join(_differences(began_with, versions))
        return (
            f"this run was begun with other versions ({differences}): its weights may differ in "
            "their last bits from those of an undisturbed run"
        )
    return None


def _differences(old: Any, new: Any, name: str = "") -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        found = []
        for key in sorted(set(old) | set(new)):
            inner = f"{name}.{key}" if name else key
            found += _differences(old.get(key), new.get(key), inner)
        return found
    if old == new:
        return []
    if isinstance(old, list) and isinstance(new, list):
        pairs = list(itertools.zip_longest(old, new))
        if any(isinstance(value, dict) for value in (*old, *new)):
            return [
                line
                for number, pair in enumerate(pairs, 1)
                for line in _differences(*pair, f"{name}[{number}]")
            ]
        if max(len(json.dumps(old)), len(json.dumps(new))) > _BRIEF:
            # Two long lists look alike when they are cut: show where they part.
            number, pair = next((n, p) for n, p in enumerate(pairs, 1) if p[0] != p[1])
            return _differences(*pair, f"{name}[{number}]")
    return [f"{name}: {_brief(old)} then, {_brief(new)} now"]


def _brief(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _BRIEF else f"{text[: _BRIEF - 3]}..."


def is_finished(folder: Path) -> bool:
    """Whether a run has its final weights and their description, and both are sound.

    If not they are made again from the last cycle.
    """
    if not ((folder / run_files.DESCRIPTION).is_file() and (folder / run_files.WEIGHTS).is_file()):
        return False
    try:
        load_description(folder)
        load_arrays(folder / run_files.WEIGHTS)
    except Refusal:
        return False
    return True


def train(
    folder: Path,
    protocol: Protocol,
    model: keras.Model,
    description: Description,
    part: Part,
    task: Task,
    identity: dict[str, Any],
    say: Callable[[str], None] = print,
    *,
    computation: Computation = PLAIN,
    pictures: int = 0,
) -> list[dict]:
    """Carry out all cycles of a protocol; finished ones are not repeated.

    ``model`` holds the weights from which the first cycle starts, and at the end the final ones.
    Two runs that lie beside each other and begin with the same cycles from the same weights on
    the same data compute them once: the second copies them.

    Returns the ``cycle.json`` of every cycle. Raises ``TrainingStopped`` where the disk is full,
    and what ``train_cycle`` raises.
    """
    replicas = computation.replicas
    say = say if replicas.is_chief else _say_nothing
    steps = Steps(model, task, computation)
    results = []
    first_epoch = 0
    for number, settings in enumerate(protocol.cycles, 1):
        cycle_folder = run_files.cycle_folder(folder, number)
        title = f"{protocol.name} {number}/{len(protocol.cycles)}, fixed: {short(settings.fixed)}"
        key = _cycle_key(model, settings, first_epoch, identity)
        result = replicas.from_chief(partial(_finished, cycle_folder, key, model, title, say))
        if result is not None:
            replicas.spread(model)
        else:
            result = train_cycle(
                model,
                part.training(settings.batch_size),
                part.validation(settings.batch_size),
                settings,
                task,
                description.label_set,
                cycle_folder,
                steps=steps,
                first_epoch=first_epoch,
                title=title,
                computation=computation,
                pictures=pictures,
                say=say,
            )
            say(_proof(result, title))
        replicas.from_chief(partial(_name, cycle_folder, key))
        results.append(result)
        first_epoch += settings.epochs
    replicas.from_chief(partial(_finish, folder, model, description))
    return results


def _say_nothing(line: str) -> None:
    """Only the chief of several processes speaks."""


@disk_full_as_refusal()
def _finished(
    cycle_folder: Path, key: str, model: keras.Model, title: str, say: Callable[[str], None]
) -> dict | None:
    """Load what is finished of a cycle, or None: here, or beside the run under the same key."""
    cycle_folder.mkdir(parents=True, exist_ok=True)
    if not (cycle_folder / run_files.CYCLE_RESULT).exists():
        _adopt(key, cycle_folder.parent, cycle_folder, say, title)
    if not (cycle_folder / run_files.CYCLE_RESULT).exists():
        return None
    try:
        result = json.loads((cycle_folder / run_files.CYCLE_RESULT).read_text(encoding="utf-8"))
        before, after = result["hashes_before"], result["hashes_after"]
    except (ValueError, KeyError, TypeError):
        raise _other_cycle(cycle_folder, "a cycle.json that cannot be read") from None
    if before != block_hashes(model):
        raise _other_cycle(cycle_folder, "one that began with other weights")
    load_weights(cycle_folder / run_files.BEST_WEIGHTS, model)
    if after != block_hashes(model):
        raise _other_cycle(cycle_folder, "one whose best weights are not those it ended with")
    (cycle_folder / run_files.STATE).unlink(missing_ok=True)
    say(_proof(result, f"{title}: finished before"))
    return result


def _other_cycle(cycle_folder: Path, found: str) -> Refusal:
    return Refusal(
        "cycle-differs",
        cycle_folder,
        expected="a finished cycle that follows from the one before it, by the hashes it noted",
        found=found,
        remedy="Delete this cycle's folder and those after it: they are trained again.",
    )


@disk_full_as_refusal()
def _name(cycle_folder: Path, key: str) -> None:
    if not (cycle_folder / run_files.CYCLE_KEY).exists():
        atomic_files.write_text(cycle_folder / run_files.CYCLE_KEY, key)


@disk_full_as_refusal()
def _finish(folder: Path, model: keras.Model, description: Description) -> None:
    save_weights(folder / run_files.WEIGHTS, model)
    description.save(folder)


def _proof(result: dict, title: str) -> str:
    outcome = f"{title}: best epoch {result['best_epoch']} of {result['epochs']}"
    if result["fixed"]:
        fixed = short(tuple(result["fixed"]))
        outcome += f"; hashes before and after: {fixed} bit-identical"
    return outcome


def _cycle_key(
    model: keras.Model, settings: CycleSettings, first_epoch: int, identity: dict[str, Any]
) -> str:
    """A name for all that decides a cycle's outcome."""
    shared = {name: value for name, value in identity.items() if name != "protocol"}
    content = [block_hashes(model), asdict(settings), first_epoch, shared]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _is_sound(weights: Path) -> bool:
    try:
        load_arrays(weights)
    except Refusal:
        return False
    return True


def _adopt(key: str, folder: Path, cycle_folder: Path, say: Callable, title: str) -> None:
    """Copy a finished cycle with the same key from a run beside this one, if there is one."""
    for path in sorted(folder.parent.glob(f"*/cycle*/{run_files.CYCLE_KEY}")):
        source = path.parent
        if source == cycle_folder or path.read_text(encoding="utf-8") != key:
            continue
        if not (source / run_files.CYCLE_RESULT).exists() or not _is_sound(
            source / run_files.BEST_WEIGHTS
        ):
            continue
        for name in (run_files.BEST_WEIGHTS, run_files.HISTORY, run_files.CYCLE_RESULT):
            with atomic_files.atomic_write(cycle_folder / name) as temporary:
                shutil.copyfile(source / name, temporary)
        say(f"{title}: the same as {source.parent.name}/{source.name}, taken from there")
        return

"""Train a protocol cycle by cycle in a run folder."""

from functools import partial
from pathlib import Path
from typing import Any

import keras

from liver_tf import checksums, run_files
from liver_tf.disk_full import disk_full_as_refusal
from liver_tf.model.blocks import format_blocks
from liver_tf.model.description import Description, load_description
from liver_tf.model.weights_file import is_sound, save_weights
from liver_tf.refusals import Refusal
from liver_tf.training.cycle import train_cycle
from liver_tf.training.cycle_setup import PlannedCycle, TrainingSetup
from liver_tf.training.finished_cycles import cycle_key, cycle_summary, load_finished, save_key
from liver_tf.training.protocol import Protocol


def train_protocol(
    setup: TrainingSetup,
    protocol: Protocol,
    folder: Path,
    identity: dict[str, Any],
    description: Description,
) -> list[dict]:
    """Train all cycles of a protocol, except those already finished, and save the final weights.

    Cycles that a run in a neighbouring folder has trained from the same weights on the same data
    are copied from there.

    Returns:
      The ``cycle.json`` of every cycle. ``setup.model`` holds the final weights.

    Raises:
      TrainingStopped, Refusal: As ``train_cycle`` and ``load_finished``; ``disk-full``.
    """
    results = []
    first_epoch = 0
    for number, settings in enumerate(protocol.cycles, 1):
        frozen = format_blocks(settings.fixed)
        title = f"{protocol.name}, cycle {number} of {len(protocol.cycles)} (frozen: {frozen})"
        cycle_folder = run_files.cycle_folder(folder, number)
        cycle = PlannedCycle(cycle_folder, settings, first_epoch, title)
        results.append(_load_or_train(setup, cycle, identity))
        first_epoch += settings.epochs
    setup.replicas.from_chief(partial(_save_final, folder, setup.model, description))
    return results


def _load_or_train(setup: TrainingSetup, cycle: PlannedCycle, identity: dict[str, Any]) -> dict:
    replicas = setup.replicas
    key = cycle_key(setup.model, cycle, identity)
    result = replicas.from_chief(partial(load_finished, setup.model, cycle, key, setup.say))
    if result is None:
        result = train_cycle(setup, cycle)
        if replicas.is_chief:
            setup.say(cycle_summary(result, cycle.title))
    else:
        replicas.spread(setup.model)
    replicas.from_chief(partial(save_key, cycle, key))
    return result


@disk_full_as_refusal()
def _save_final(folder: Path, model: keras.Model, description: Description) -> None:
    save_weights(folder / run_files.WEIGHTS, model)
    description.save(folder)
    checksums.write_sums(folder, (run_files.WEIGHTS, run_files.DESCRIPTION, run_files.IDENTITY))


def is_finished(folder: Path) -> bool:
    """Whether a run has undamaged final weights and their description."""
    try:
        load_description(folder)
        checksums.verify(folder, run_files.WEIGHTS)
    except Refusal:
        return False
    return is_sound(folder / run_files.WEIGHTS)

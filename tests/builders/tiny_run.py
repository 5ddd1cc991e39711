"""A whole run of two cycles on a tiny record set; also a command, so that a test can kill it."""

import functools
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path

from liver_tf.labels import LESION_TYPES
from liver_tf.model import unet
from liver_tf.model.description import Description
from liver_tf.pipeline.augmentation_ranges import Ranges
from liver_tf.pipeline.batches import BatchSource
from liver_tf.pipeline.slices import Slices
from liver_tf.records import case_statistics
from liver_tf.records.folds import hold_out
from liver_tf.records.manifest import load_manifest
from liver_tf.training import cycle as cycle_module
from liver_tf.training import determinism, run
from liver_tf.training.cycle_settings import CycleSettings
from liver_tf.training.protocol import SCRATCH, Protocol
from liver_tf.training.step import PLAIN, Task


def cycle(fixed=(), **more):
    values = {"learning_rate": 3e-3, "epochs": 3, "batch_size": 4, "patience": 9, **more}
    return CycleSettings(tuple(fixed), **values)


TWO_CYCLES = Protocol(
    "two", SCRATCH, (cycle(), cycle(("enc1", "enc2", "enc3"), epochs=2, batch_size=5))
)


@functools.cache
def data_of(records, seed):
    """Task, training and validation batches of a record set; read once, for tests run it often."""
    manifest = load_manifest(records)
    split = hold_out(manifest, validation_share=0.3, seed=0)
    wanted = [entry for entry in manifest.cases if entry.case in set(split.training)]
    total = case_statistics.total(entry.statistics for entry in wanted)
    task = Task(
        *case_statistics.liver_mean_sd(total),
        case_statistics.class_weights(total.class_pixels),
        manifest.window,
    )

    def source(cases, ranges):
        slices = Slices(records, manifest, cases, 32, tuple(range(len(manifest.label_set))))
        return functools.cache(
            lambda size: BatchSource(slices, batch_size=size, seed=seed, ranges=ranges)
        )

    return task, run.Part(source(split.training, Ranges()), source(split.validation, None))


def carry_out(
    folder,
    records,
    protocol=TWO_CYCLES,
    *,
    seed=0,
    say=print,
    computation=PLAIN,
    pictures=0,
    **changes,
):
    """Begin the run or go on with it; returns the model and the cycles' results."""
    determinism.set_up(True)
    manifest = load_manifest(records)
    task, part = data_of(records, seed)
    architecture = unet.Architecture(32, 2, len(LESION_TYPES), momentum=0.9)
    with computation.replicas.scope():
        model = unet.build(architecture, seed, precision=computation.precision)
    description = Description(
        "lesion",
        architecture,
        LESION_TYPES,
        manifest.window,
        task.mean_hu,
        task.sd_hu,
        manifest.fingerprint,
        manifest.roi,
    )
    identity = {
        "data_fingerprint": manifest.fingerprint,
        "seed": seed,
        "protocol": asdict(protocol),
        **changes,
    }
    computation.replicas.demand_same(identity, "arguments")
    computation.replicas.from_chief(lambda: run.open_run(folder, identity))
    results = run.train(
        folder,
        protocol,
        model,
        description,
        part,
        task,
        identity,
        say,
        computation=computation,
        pictures=pictures,
    )
    return model, results


def killed_between_two_files(folder, records):
    """The same, but the process gets SIGKILL when a best was saved and its state not yet."""
    original, calls = cycle_module.save_weights, []

    def save_and_die(*arguments):
        original(*arguments)
        calls.append(1)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    cycle_module.save_weights = save_and_die
    carry_out(folder, records)


if __name__ == "__main__":
    killed_between_two_files(Path(sys.argv[1]), Path(sys.argv[2]))

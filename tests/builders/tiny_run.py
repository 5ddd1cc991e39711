"""A run of two cycles on a tiny record set; also a command that a test can kill."""

import functools
import os
import signal
import sys
from pathlib import Path

from liver_tf.labels import LESION_TYPES
from liver_tf.model import unet
from liver_tf.model.architecture import Architecture
from liver_tf.model.block_weights import block_hashes
from liver_tf.model.description import Description
from liver_tf.model.loss import class_weights
from liver_tf.pipeline.augmentation.ranges import Ranges
from liver_tf.pipeline.batches import BatchSource
from liver_tf.pipeline.slices import Slices
from liver_tf.records import case_statistics
from liver_tf.records.folds import hold_out
from liver_tf.records.manifest import load_manifest
from liver_tf.training import open_cycle
from liver_tf.training.compiled_steps import CompiledSteps
from liver_tf.training.computation import Computation, set_up_determinism
from liver_tf.training.cycle_settings import CycleSettings
from liver_tf.training.cycle_setup import TrainingData, TrainingSetup
from liver_tf.training.protocol import SCRATCH, Protocol
from liver_tf.training.protocol_run import train_protocol
from liver_tf.training.run_identity import open_run
from liver_tf.training.task import Task

ARCHITECTURE = Architecture(32, 2, len(LESION_TYPES), momentum=0.9)


def cycle(fixed=(), **more):
    values = {"learning_rate": 3e-3, "epochs": 3, "batch_size": 4, "patience": 9, **more}
    return CycleSettings(tuple(fixed), **values)


TWO_CYCLES = Protocol(
    "two", SCRATCH, (cycle(), cycle(("enc1", "enc2", "enc3"), epochs=2, batch_size=5))
)


@functools.cache
def data_of(records, seed):
    """Task and batches of a record set; read once, because many tests use them."""
    manifest = load_manifest(records)
    split = hold_out(manifest, validation_share=0.3, seed=0)
    training = [entry for entry in manifest.cases if entry.case in set(split.training)]
    total = case_statistics.total(entry.statistics for entry in training)
    task = Task(
        *case_statistics.liver_mean_sd(total),
        class_weights(total.class_pixels),
        manifest.window,
    )

    def source(cases, ranges):
        slices = Slices(records, manifest, cases, 32, tuple(range(len(manifest.label_set))))
        return functools.cache(
            lambda size: BatchSource(slices, batch_size=size, seed=seed, ranges=ranges)
        )

    return task, TrainingData(source(split.training, Ranges()), source(split.validation, None))


@functools.cache
def network(records, seed, computation):
    """A model with compiled steps, shared by all runs because tracing is slower than training."""
    task, _ = data_of(records, seed)
    with computation.replicas.scope():
        model = unet.build(ARCHITECTURE, seed, precision=computation.precision)
    return model, model.get_weights(), CompiledSteps(model, task, computation)


def train(
    folder,
    records,
    protocol=TWO_CYCLES,
    *,
    seed=0,
    say=print,
    computation=Computation(),  # noqa: B008
    images=0,
    retrace=False,
    **changes,
):
    """Start or resume the run; return the final weights' hashes and the cycles' results.

    ``retrace``: compile new steps, e.g. because they are patched.
    """
    set_up_determinism(True)
    manifest = load_manifest(records)
    task, data = data_of(records, seed)
    make = network.__wrapped__ if retrace else network
    model, initial, steps = make(records, seed, computation)
    model.set_weights(initial)
    description = Description(
        "lesion",
        ARCHITECTURE,
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
        "protocol": protocol.identity(),
        **changes,
    }
    replicas = computation.replicas
    replicas.demand_same(identity, "arguments")
    replicas.from_chief(lambda: open_run(folder, identity))
    setup = TrainingSetup(model, task, LESION_TYPES, data, steps, replicas, images, say)
    results = train_protocol(setup, protocol, folder, identity, description)
    return block_hashes(model), results


def train_and_die(folder, records):
    """Train, but kill the process after it saves the best weights and before it saves the state."""
    original, calls = open_cycle.save_weights, []

    def save_and_die(*arguments):
        original(*arguments)
        calls.append(1)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    open_cycle.save_weights = save_and_die
    train(folder, records)


if __name__ == "__main__":
    train_and_die(Path(sys.argv[1]), Path(sys.argv[2]))

"""Runs in separate processes: several logical devices, or several workers on loopback."""

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from liver_tf.model import unet
from liver_tf.model.architecture import Architecture
from liver_tf.model.block_weights import block_hashes
from liver_tf.model.blocks import BLOCKS
from liver_tf.model.freezing import freeze
from liver_tf.pipeline.augmentation import augment
from liver_tf.refusals import Refusal
from liver_tf.training import cycle
from liver_tf.training.computation import Computation, set_up_determinism
from liver_tf.training.optimiser import make_optimiser
from liver_tf.training.protocol import SCRATCH, Protocol
from liver_tf.training.replicas import ONE_DEVICE, make_replicas
from liver_tf.training.task import Task
from liver_tf.training.training_step import training_step
from liver_tf.training.validation import validation_step
from tests.builders import tiny_run

#: With frozen statistics the loss of a batch does not depend on how replicas divide the batch.
FIXED_NORM = {"norm": "freeze_statistics", "batch_size": 5}

#: Fewer trained blocks mean less to trace and to sum.
FIXED = BLOCKS[: BLOCKS.index("dec1")]

ONE_CYCLE = Protocol("shared", SCRATCH, (tiny_run.cycle(FIXED, epochs=3, **FIXED_NORM),))

TASK = Task(100.0, 30.0, (0.5, 1.0, 4.0), (-160, 240))


def batches():
    """Batches of 3, 4 and 1 slices: uneven, even and too few for two replicas."""
    for seed, size in enumerate((3, 4, 1)):
        generator = np.random.default_rng(seed)
        images = tf.constant(generator.uniform(-160, 240, (size, 16, 16)), tf.float32)
        yield images, tf.constant(generator.integers(0, 3, (size, 16, 16)), tf.uint8)


def steps(replicas, norm, fixed):
    """Losses and overlaps of training and validation steps, and the model after them."""
    with replicas.scope():
        model = unet.build(Architecture(16, 1, 3), 1)
    freeze(model, fixed, norm)
    optimiser = make_optimiser(replicas=replicas, learning_rate=1e-3)
    step = training_step(model, optimiser, TASK, replicas=replicas)
    values = [float(step(images, labels, {})) for images, labels in batches()]
    if norm != "update":
        check = validation_step(model, TASK, replicas)
        for images, labels in batches():
            loss, overlap = check(images, labels, {})
            values += [float(loss), *overlap.numpy().ravel().tolist()]
    return values, model


def losses(computation, *, augmented=False):
    """Losses of two steps on the same slices, and the model after them."""
    model = unet.build(Architecture(16, 2, 3), 1, precision=computation.precision)
    freeze(model, FIXED, "freeze_statistics")
    optimiser = make_optimiser(computation.precision, learning_rate=1e-3)
    step = training_step(model, optimiser, TASK, jit_compile=computation.jit_compile)
    values = []
    for images, labels in [next(batches())] * 2:
        drawn = {}
        if augmented:
            each = [
                augment.draw(1, tf.constant(0), tf.constant(n, tf.int64), augment.Ranges())
                for n in range(len(images))
            ]
            drawn = {name: tf.stack([parameters[name] for parameters in each]) for name in each[0]}
        values.append(float(step(images, labels, drawn)))
    return values, model


def xla():
    """Compare XLA with plain steps, with augmentation on the device; print the differences."""
    plain, model = losses(Computation(), augmented=True)
    compiled, compiled_model = losses(Computation(jit_compile=True), augmented=True)
    weights = zip(model.weights, compiled_model.weights, strict=True)
    hashes = block_hashes(model), block_hashes(compiled_model)
    report = {
        "plain": plain,
        "compiled": compiled,
        "weights": max(float(np.abs(np.array(a) - np.array(b)).max()) for a, b in weights),
        "frozen": all(hashes[0][block] == hashes[1][block] for block in FIXED),
    }
    print(json.dumps(report))


def mirrored():
    """Compare two logical CPUs with one device; print the differences."""
    (cpu,) = tf.config.list_physical_devices("CPU")
    logical = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, logical)
    set_up_determinism(True)
    two_devices = make_replicas("mirrored")
    before = block_hashes(unet.build(Architecture(16, 1, 3), 1))
    ours, model = steps(two_devices, "freeze_statistics", FIXED)
    theirs, single = steps(ONE_DEVICE, "freeze_statistics", FIXED)
    _, updated = steps(two_devices, "update", FIXED)
    weights = zip(model.weights, single.weights, strict=True)
    pairs = [
        [np.array(copy) for copy in weight.value.values]
        for weight in (*model.weights, *updated.weights)
    ]
    moving_mean = updated.get_layer("dec1_norm2").moving_mean.numpy()
    frozen = [block_hashes(trained)["enc1"] for trained in (model, updated)]
    report = {
        "replicas": two_devices.count,
        "ours": ours,
        "theirs": theirs,
        "weights": max(float(np.abs(a.numpy() - b.numpy()).max()) for a, b in weights),
        "copies": max(float(np.abs(a - b).max()) for a, b in pairs),
        "statistics": float(np.abs(moving_mean).max()),
        "frozen": frozen == [before["enc1"]] * 2,
    }
    print(json.dumps(report))


def worker(folder, records, *, dies):
    """Train the run as one process of TF_CONFIG; ``dies``: kill it in the second epoch."""
    if dies:
        original = cycle.train_epoch

        def train_epoch(step, epochs, settings, optimiser, epoch, steps):
            if epoch == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(step, epochs, settings, optimiser, epoch, steps)

        cycle.train_epoch = train_epoch
    replicas = make_replicas("multi_worker")
    hashes, _ = tiny_run.train(
        folder, records, ONE_CYCLE, computation=Computation(replicas=replicas)
    )
    report = {
        "replicas": replicas.count,
        "chief": replicas.is_chief,
        "refused": refusals_of(replicas),
    }
    print(json.dumps(report | hashes))


def refusals_of(replicas):
    """Refusals (code, found) if the processes differ, and if only the chief refuses."""

    def refuse():
        raise Refusal("its-code", "some/path", expected="a", found="b", remedy="c")

    refusals = []
    for work in (
        lambda: replicas.demand_same({"seed": int(replicas.is_chief)}, "arguments"),
        lambda: replicas.from_chief(refuse),
    ):
        try:
            work()
        except Refusal as refusal:
            refusals.append([refusal.code, refusal.found])
    return refusals


if __name__ == "__main__":
    if sys.argv[1] == "mirrored":
        mirrored()
    elif sys.argv[1] == "xla":
        xla()
    else:
        worker(Path(sys.argv[2]), Path(sys.argv[3]), dies="dies" in sys.argv)

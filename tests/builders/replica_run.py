"""Runs in processes of their own: several logical devices, and several workers on loopback."""

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

#: With statistics that stay a batch's loss is the same however the batch is shared out.
FIXED_NORM = {"norm": "freeze_statistics", "batch_size": 5}

#: The fewer blocks learn the less has to be traced and summed.
FIXED = BLOCKS[: BLOCKS.index("dec1")]

ONE_CYCLE = Protocol("shared", SCRATCH, (tiny_run.cycle(FIXED, epochs=2, **FIXED_NORM),))

TASK = Task(100.0, 30.0, (0.5, 1.0, 4.0), (-160, 240))


def batches():
    """Batches of 3, 4 and 1 slices: odd for two replicas, even, and too few."""
    for seed, size in enumerate((3, 4, 1)):
        generator = np.random.default_rng(seed)
        images = tf.constant(generator.uniform(-160, 240, (size, 16, 16)), tf.float32)
        yield images, tf.constant(generator.integers(0, 3, (size, 16, 16)), tf.uint8)


def steps(where, norm, fixed):
    """Losses and overlaps of training and validation steps, and the model after them."""
    with where.scope():
        model = unet.build(Architecture(16, 1, 3), 1)
    freeze(model, fixed, norm)
    optimiser = make_optimiser(replicas=where, learning_rate=1e-3)
    step = training_step(model, optimiser, TASK, replicas=where)
    told = [float(step(images, labels, {})) for images, labels in batches()]
    if norm != "update":
        check = validation_step(model, TASK, where)
        for images, labels in batches():
            loss, overlap = check(images, labels, {})
            told += [float(loss), *overlap.numpy().ravel().tolist()]
    return told, model


def losses(computation, *, augmented=False):
    """Losses of two steps on the same slices, and the model after them."""
    model = unet.build(Architecture(16, 2, 3), 1, precision=computation.precision)
    freeze(model, FIXED, "freeze_statistics")
    optimiser = make_optimiser(computation.precision, learning_rate=1e-3)
    step = training_step(model, optimiser, TASK, jit_compile=computation.jit_compile)
    told = []
    for images, labels in [next(batches())] * 2:
        drawn = {}
        if augmented:
            each = [
                augment.draw(1, tf.constant(0), tf.constant(n, tf.int64), augment.Ranges())
                for n in range(len(images))
            ]
            drawn = {name: tf.stack([one[name] for one in each]) for name in each[0]}
        told.append(float(step(images, labels, drawn)))
    return told, model


def xla():
    """With augmentation left to the device, of which XLA knows a part only; prints what differs."""
    plain, model = losses(Computation(), augmented=True)
    compiled, other = losses(Computation(jit_compile=True), augmented=True)
    weights = zip(model.weights, other.weights, strict=True)
    hashes = block_hashes(model), block_hashes(other)
    told = {
        "plain": plain,
        "compiled": compiled,
        "weights": max(float(np.abs(np.array(a) - np.array(b)).max()) for a, b in weights),
        "frozen": all(hashes[0][block] == hashes[1][block] for block in FIXED),
    }
    print(json.dumps(told))


def mirrored():
    """Two logical CPUs against one device; prints what differs."""
    (cpu,) = tf.config.list_physical_devices("CPU")
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, two)
    set_up_determinism(True)
    both = make_replicas("mirrored")
    before = block_hashes(unet.build(Architecture(16, 1, 3), 1))
    ours, model = steps(both, "freeze_statistics", ("enc1",))
    theirs, one = steps(ONE_DEVICE, "freeze_statistics", ("enc1",))
    _, updated = steps(both, "update", FIXED)
    weights = zip(model.weights, one.weights, strict=True)
    pairs = [
        [np.array(copy) for copy in weight.value.values]
        for weight in (*model.weights, *updated.weights)
    ]
    moved = updated.get_layer("dec1_norm2").moving_mean.numpy()
    frozen = [block_hashes(each)["enc1"] for each in (model, updated)]
    told = {
        "replicas": both.count,
        "ours": ours,
        "theirs": theirs,
        "weights": max(float(np.abs(a.numpy() - b.numpy()).max()) for a, b in weights),
        "copies": max(float(np.abs(a - b).max()) for a, b in pairs),
        "statistics": float(np.abs(moved).max()),
        "frozen": frozen == [before["enc1"]] * 2,
    }
    print(json.dumps(told))


def worker(folder, records, *, dies):
    """One of the processes of TF_CONFIG carries out the run; ``dies``: until its second epoch."""
    if dies:
        original = cycle.train_epoch

        def train_epoch(step, epochs, settings, optimiser, epoch):
            if epoch == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(step, epochs, settings, optimiser, epoch)

        cycle.train_epoch = train_epoch
    where = make_replicas("multi_worker")
    hashes, _ = tiny_run.carry_out(
        folder, records, ONE_CYCLE, computation=Computation(replicas=where)
    )
    told = {"replicas": where.count, "chief": where.is_chief, "refused": refused(where)}
    print(json.dumps(told | hashes))


def refused(where):
    """Codes and what came, where the processes differ, and where the chief alone refuses."""

    def refuse():
        raise Refusal("its-code", "some/path", expected="a", found="b", remedy="c")

    told = []
    for work in (
        lambda: where.demand_same({"seed": int(where.is_chief)}, "arguments"),
        lambda: where.from_chief(refuse),
    ):
        try:
            work()
        except Refusal as refusal:
            told.append([refusal.code, refusal.found])
    return told


if __name__ == "__main__":
    if sys.argv[1] == "mirrored":
        mirrored()
    elif sys.argv[1] == "xla":
        xla()
    else:
        worker(Path(sys.argv[2]), Path(sys.argv[3]), dies="dies" in sys.argv)

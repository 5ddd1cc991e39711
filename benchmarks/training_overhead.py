"""Overhead of the training loop compared with a bare ``model.fit`` of Keras.

    python -m benchmarks.training_overhead

Both train the same network from the same weights, on the same batches of the same ``tf.data``
pipeline (without augmentation), with Adam and the same loss: ours by ``training.cycle``, Keras by
``fit`` with its cross-entropy and a weight per pixel. They take turns, one epoch each; the losses
and the median of the ratios are printed.
"""

import statistics
import tempfile
import time
from pathlib import Path

from absl import app, flags

FLAGS = flags.FLAGS


def main(argv: list[str]) -> int:
    del argv
    from liver_tf.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    import keras
    import tensorflow as tf

    from liver_tf.model import unet
    from liver_tf.model.architecture import Architecture
    from liver_tf.training import cycle
    from liver_tf.training.computation import set_up_determinism
    from liver_tf.training.cycle_settings import CycleSettings
    from liver_tf.training.learning_rate import learning_rate
    from liver_tf.training.optimiser import make_optimiser
    from liver_tf.training.task import Task
    from liver_tf.training.training_step import training_step

    set_up_determinism(FLAGS.deterministic)
    with tempfile.TemporaryDirectory() as folder:
        source = _batches(Path(folder))
    weights = (0.4, 1.0, 2.0, 3.0, 4.0)
    task = Task(100.0, 30.0, weights, (-160, 240))
    settings = CycleSettings((), 1e-4, FLAGS.rounds + 1, FLAGS.batch_size, FLAGS.rounds + 1)
    architecture = Architecture(FLAGS.image_size, FLAGS.base_filters, len(weights))
    ours, theirs = unet.build(architecture), unet.build(architecture)
    optimiser = make_optimiser()
    step = training_step(ours, optimiser, task)
    theirs.compile(
        keras.optimizers.Adam(1e-4), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    lookup = tf.constant(weights)

    def for_fit(images, labels, parameters):
        del parameters
        return task.standardise(images), labels, tf.gather(lookup, tf.cast(labels, tf.int32))

    def epoch_of_ours(number: int) -> float:
        # A pipeline for each epoch, as ``fit`` has.
        batches = source.epochs(number, number + 1)
        return cycle.train_epoch(step, batches, settings, optimiser, number)["loss"]

    def epoch_of_keras(number: int) -> float:
        theirs.optimizer.learning_rate.assign(learning_rate(settings, number))
        batches = source.epoch(number).map(for_fit, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
        return theirs.fit(batches, shuffle=False, verbose=0).history["loss"][0]

    seconds: dict[str, list[float]] = {"ours": [], "keras": []}
    for number in range(FLAGS.rounds + 1):
        losses = {}
        turns = [("ours", epoch_of_ours), ("keras", epoch_of_keras)]
        for name, epoch in turns if number % 2 else reversed(turns):
            started = time.perf_counter()
            losses[name] = epoch(number)
            # The first epochs trace.
            if number:
                seconds[name].append(time.perf_counter() - started)
        print(f"epoch {number}: loss ours {losses['ours']:.4f}, keras {losses['keras']:.4f}")
    ratios = [one / two for one, two in zip(seconds["ours"], seconds["keras"], strict=True)]
    print(
        f"{FLAGS.image_size} x {FLAGS.image_size} pixels, {FLAGS.base_filters} filters, batch "
        f"{FLAGS.batch_size}, {source.steps(0)} steps an epoch, {FLAGS.rounds} rounds"
    )
    print("| ours, s an epoch | model.fit, s an epoch | ratio, median | least | greatest |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    print(
        f"| {statistics.median(seconds['ours']):.2f} | {statistics.median(seconds['keras']):.2f} | "
        f"{statistics.median(ratios):.3f} | {min(ratios):.3f} | {max(ratios):.3f} |"
    )
    return 0


def _batches(folder: Path):
    """Batches of random slices from a record set, held in memory, not augmented."""
    import numpy as np

    from liver_tf.labels import LESION_TYPES
    from liver_tf.pipeline.batches import BatchSource
    from liver_tf.pipeline.slices import Slices
    from liver_tf.records import case_statistics as record_statistics
    from liver_tf.records.manifest import CaseEntry, Manifest
    from liver_tf.records.record_schema import SliceRecord
    from liver_tf.records.shard_writer import write_shard
    from liver_tf.records.slice_hash import hash_slice

    generator = np.random.default_rng(0)
    shape = (FLAGS.image_size, FLAGS.image_size)
    records = [
        SliceRecord(
            generator.integers(-160, 240, shape).astype(np.int16),
            generator.integers(0, len(LESION_TYPES), shape).astype(np.uint8),
            (0.8, 0.8),
            "case",
            "patient",
            index,
            "cyst",
        )
        for index in range(FLAGS.slices)
    ]
    info = write_shard(folder / "case.tfrecord", records)
    sums = [record_statistics.of_slice(r.image, r.labels, len(LESION_TYPES)) for r in records]
    entry = CaseEntry(
        *("case", "patient", "patient", "case.tfrecord"),
        *(info.records, info.bytes, info.sha256, "cyst", record_statistics.total(sums)),
        hashes=tuple(hash_slice(r.image, r.slice_index) for r in records),
    )
    manifest = Manifest(LESION_TYPES, (-160, 240), (entry,))
    slices = Slices(folder, manifest, ("case",), FLAGS.image_size, tuple(range(5)))
    return BatchSource(slices, batch_size=FLAGS.batch_size, seed=0, ranges=None)


def _define_flags() -> None:
    flags.DEFINE_integer("image_size", 128, "Side of the image.")
    flags.DEFINE_integer("base_filters", 16, "Channels of the first block.")
    flags.DEFINE_integer("batch_size", 4, "Slices per step.")
    flags.DEFINE_integer("slices", 80, "Slices per epoch.")
    flags.DEFINE_integer("rounds", 7, "Interleaved rounds.")
    flags.DEFINE_boolean(
        "deterministic",
        True,
        "Ask TensorFlow for deterministic operations, as training does by default.",
    )


if __name__ == "__main__":
    _define_flags()
    app.run(main)

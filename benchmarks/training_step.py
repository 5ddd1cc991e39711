"""Speed of a training step compared with Keras and PyTorch, at the same task.

    pip install -e '.[bench]' -c constraints.txt
    python -m benchmarks.training_step

Our U-Net (5 levels; two 3 x 3 convolutions with ReLU and batch normalisation per block; max
pooling, transposed convolution, skip connections), weighted cross-entropy over 5 classes, Adam;
one batch in memory. Keras: its own layers, trained by ``fit``. PyTorch: the same layers; both in
``benchmarks/peer_unet.py``. Each implementation runs in a separate process; they take turns.
Every table is of one precision: float32, and bfloat16 if the processor has instructions for it.
"""

import itertools
import statistics
import time
from collections.abc import Callable

from absl import app, flags

from benchmarks.kept import Rounds, define_flag, keep
from benchmarks.peer_unet import precisions
from benchmarks.turns import take_turns

FLAGS = flags.FLAGS
CLASSES = 5
WEIGHTS = (0.4, 1.0, 2.0, 3.0, 4.0)
OURS = "liver_tf"


def main(argv: list[str]) -> int:
    del argv
    makers = {
        OURS: (ours,),
        "Keras": (_keras,),
        "PyTorch, channels last": (_torch, True, False),
        "PyTorch": (_torch, False, False),
        "PyTorch, torch.compile": (_torch, True, True),
    }
    wanted = FLAGS.ways or list(makers)
    for size, precision in itertools.product(FLAGS.sizes, FLAGS.precisions or precisions()):
        batch, side, filters = (int(number) for number in size.split("x"))
        shape = (batch, side, filters, FLAGS.steps, precision)
        ways = {
            name: (make, (*more, *shape))
            for name, (make, *more) in makers.items()
            if name in wanted
        }
        seen = take_turns(ways, FLAGS.rounds)
        print(
            f"\nbatch {batch}, {side} x {side} pixels, {filters} filters, {precision}; "
            f"{FLAGS.rounds} rounds of {FLAGS.steps} steps"
        )
        print("| | images a second | ours / it | processor ms an image |")
        print("| --- | ---: | ---: | ---: |")
        for name, rounds in seen.items():
            ratios = [one[0] / other[0] for one, other in zip(seen[OURS], rounds, strict=True)]
            print(
                f"| {name} | {statistics.median(rate for rate, _ in rounds):.1f} "
                f"| {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) "
                f"| {statistics.median(spent for _, spent in rounds) * 1000:.0f} |",
                flush=True,
            )
        keep(
            Rounds(
                f"training step, batch {batch}, {side} x {side}, {filters} filters, {precision}",
                "images/s",
                True,
                OURS,
                {name: [rate for rate, _ in rounds] for name, rounds in seen.items()},
            )
        )
    return 0


def _timed(step: Callable[[], float], batch: int, steps: int) -> Callable[[], tuple[float, float]]:
    """A turn: images a second, and seconds of processors an image."""
    for _ in range(3):
        step()

    def turn() -> tuple[float, float]:
        processor, started = time.process_time(), time.perf_counter()
        for _ in range(steps):
            loss = step()
        assert float(loss) == float(loss)
        images = batch * steps
        return (
            images / (time.perf_counter() - started),
            (time.process_time() - processor) / images,
        )

    return turn


def _batch(batch: int, side: int):
    import numpy as np

    generator = np.random.default_rng(0)
    shape = (batch, side, side)
    return (
        generator.normal(0, 1, shape).astype(np.float32),
        generator.integers(0, CLASSES, shape).astype(np.uint8),
    )


def ours(
    batch: int, side: int, filters: int, steps: int, precision: str = "float32"
) -> Callable[[], tuple[float, float]]:
    from liver_tf.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    import tensorflow as tf

    from liver_tf.model import unet
    from liver_tf.model.architecture import Architecture
    from liver_tf.training.computation import set_up_determinism
    from liver_tf.training.optimiser import make_optimiser
    from liver_tf.training.task import Task
    from liver_tf.training.training_step import training_step

    set_up_determinism(True)
    model = unet.build(Architecture(side, filters, CLASSES), precision=precision)
    step = training_step(model, make_optimiser(precision), Task(0.0, 1.0, WEIGHTS, (-160, 240)))
    images, labels = (tf.constant(array) for array in _batch(batch, side))
    return _timed(lambda: step(images, labels, {}), batch, steps)


def _keras(batch: int, side: int, filters: int, steps: int, precision: str) -> Callable:
    from liver_tf.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    import keras
    import tensorflow as tf

    from benchmarks.peer_unet import keras_unet

    model = keras_unet(side, filters, CLASSES, precision)
    model.compile(
        keras.optimizers.Adam(1e-4), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    images, labels = _batch(batch, side)
    weights = tf.gather(tf.constant(WEIGHTS), tf.cast(labels, tf.int32))
    images, labels = tf.constant(images[..., None]), tf.constant(labels)
    data = tf.data.Dataset.from_tensors((images, labels, weights)).repeat()

    def turn_of_fit() -> float:
        return model.fit(data, steps_per_epoch=steps, verbose=0).history["loss"][0]

    turn_of_fit()

    def turn() -> tuple[float, float]:
        processor, started = time.process_time(), time.perf_counter()
        turn_of_fit()
        images = batch * steps
        return (
            images / (time.perf_counter() - started),
            (time.process_time() - processor) / images,
        )

    return turn


def _torch(
    channels_last: bool,
    compiled: bool,
    batch: int,
    side: int,
    filters: int,
    steps: int,
    precision: str,
) -> Callable:
    import torch

    from benchmarks.peer_unet import torch_unet

    torch.manual_seed(0)
    model = torch_unet(filters, CLASSES, precision)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model = model.to(memory_format=layout).train()
    images, labels = (torch.from_numpy(array) for array in _batch(batch, side))
    images = images[:, None].contiguous(memory_format=layout)
    labels = labels.long()
    adam = torch.optim.Adam(model.parameters(), 1e-4, fused=True)
    weights = torch.tensor(WEIGHTS)

    def loss_of(images, labels):
        entropy = torch.nn.functional.cross_entropy(
            model(images), labels, weights, reduction="none"
        )
        return entropy.mean()

    if compiled:
        loss_of = torch.compile(loss_of)

    def step():
        adam.zero_grad(set_to_none=True)
        loss = loss_of(images, labels)
        loss.backward()
        adam.step()
        return loss.detach()

    return _timed(step, batch, steps)


if __name__ == "__main__":
    flags.DEFINE_integer("rounds", 7, "Interleaved rounds.", lower_bound=1)
    flags.DEFINE_integer("steps", 5, "Steps per turn.", lower_bound=1)
    flags.DEFINE_list("sizes", ["6x128x16", "1x128x16", "6x256x32"], "Batches x pixels x filters.")
    flags.DEFINE_list("precisions", [], "float32, bfloat16; default: those of this processor.")
    flags.DEFINE_list("ways", [], "Implementations to measure, including ours; default: all.")
    define_flag()
    app.run(main)

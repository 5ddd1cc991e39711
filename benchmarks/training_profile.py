"""Where the time of a training step goes, and how far it is from the limits of the machine.

    python -m benchmarks.training_profile

TensorFlow's profiler sums the time of every kind of operation in a step. For comparison: the
convolutions of the step, forward and backward, each alone in a loop; a large matrix product; and
the speed of copying memory.
"""

import collections
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from absl import app, flags

FLAGS = flags.FLAGS
CLASSES = 5


def main(argv: list[str]) -> int:
    del argv
    from liver_tf.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    import numpy as np
    import tensorflow as tf

    from liver_tf.model import unet
    from liver_tf.model.architecture import Architecture
    from liver_tf.training.computation import set_up_determinism
    from liver_tf.training.optimiser import make_optimiser
    from liver_tf.training.task import Task
    from liver_tf.training.training_step import training_step

    set_up_determinism(True)
    batch, side, filters = (int(number) for number in FLAGS.size.split("x"))
    model = unet.build(Architecture(side, filters, CLASSES))
    task = Task(0.0, 1.0, (1.0,) * CLASSES, (-160, 240))
    step = training_step(model, make_optimiser(), task)
    generator = np.random.default_rng(0)
    images = tf.constant(generator.normal(0, 1, (batch, side, side)), tf.float32)
    labels = tf.constant(generator.integers(0, CLASSES, (batch, side, side)), tf.uint8)

    def run() -> None:
        float(step(images, labels, {}))

    milliseconds = timed(run)
    kinds = profile(run, FLAGS.steps)
    alone, operations = convolutions_alone(model, batch)
    print(f"batch {batch}, {side} x {side}, {filters} filters: {milliseconds:.1f} ms a step")
    print("\n| operation | ms a step, summed over threads | share |\n| --- | ---: | ---: |")
    total = sum(kinds.values())
    for kind, spent in kinds.most_common(12):
        print(f"| {kind} | {spent:.1f} | {spent / total:.0%} |")
    print(f"| all | {total:.1f} | |")
    print(
        f"\nconvolutions, each alone in a loop: {alone:.1f} ms, {alone / milliseconds:.0%} of the "
        f"step; {operations / 1e9:.1f} Gflop: {operations / alone / 1e6:,.0f} Gflop/s alone, "
        f"{operations / milliseconds / 1e6:,.0f} Gflop/s in the step"
    )
    square = tf.random.normal([2048, 2048])
    product = tf.function(lambda: tf.reduce_sum(tf.matmul(square, square)[:1]))
    best = timed(lambda: float(product()))
    print(f"a matrix product of 2048: {2 * 2048**3 / best / 1e6:,.0f} Gflop/s")
    long = np.zeros(64 * 2**20, np.float32)
    other = np.empty_like(long)
    copied = timed(lambda: np.copyto(other, long))
    print(
        f"copying memory, one thread: {2 * long.nbytes / copied / 1e6:.1f} GB/s, read and written"
    )
    return 0


def timed(run: Callable[[], object]) -> float:
    """Milliseconds, the median of some calls after two to warm up."""
    seconds = []
    for _ in range(FLAGS.steps + 2):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return 1000 * statistics.median(seconds[2:])


def profile(run: Callable[[], object], steps: int) -> collections.Counter:
    """Milliseconds a step of every kind of operation, summed over threads."""
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    kinds: collections.Counter = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        for _ in range(steps):
            run()
        tf.profiler.experimental.stop()
        for path in Path(folder).rglob("*.xplane.pb"):
            for plane in xplane_pb2.XSpace.FromString(path.read_bytes()).planes:
                for event in (event for line in plane.lines for event in line.events):
                    # Operations are named "place in the graph:kind".
                    name = plane.event_metadata[event.metadata_id].name
                    place, _, kind = name.rpartition(":")
                    if place and "::" not in name and kind.isidentifier():
                        kinds[kind] += event.duration_ps / 1e9 / steps
    return kinds


def convolutions_alone(model, batch: int) -> tuple[float, float]:
    """Milliseconds and floating-point operations of a step's convolutions, each in a loop alone."""
    import keras
    import tensorflow as tf
    from keras import tree

    milliseconds = operations = 0.0
    first = True
    for layer in model.layers:
        if not isinstance(layer, keras.layers.Conv2D | keras.layers.Conv2DTranspose):
            continue
        # Of several inputs, joined: what the kernel takes.
        shapes = [one.shape for one in tree.flatten(layer.input)]
        x = tf.random.normal([batch, *shapes[0][1:3], sum(shape[3] for shape in shapes)])
        kernel = tf.random.normal(layer.kernel.shape)
        out = tf.random.normal([batch, *layer.output.shape[1:]])
        if isinstance(layer, keras.layers.Conv2DTranspose):
            # It is a convolution backwards; forwards it is what its own gradient needs.
            x, out, strides = out, x, 2
        else:
            strides = 1
        common = {"strides": [1, strides, strides, 1], "padding": "SAME"}
        shape = tf.shape(x)

        @tf.function
        def forward(x=x, kernel=kernel, common=common):
            return tf.raw_ops.Conv2D(input=x, filter=kernel, **common)

        @tf.function
        def of_kernel(x=x, kernel=kernel, out=out, common=common):
            return tf.raw_ops.Conv2DBackpropFilter(
                input=x, filter_sizes=kernel.shape, out_backprop=out, **common
            )

        @tf.function
        def of_input(shape=shape, kernel=kernel, out=out, common=common):
            return tf.raw_ops.Conv2DBackpropInput(
                input_sizes=shape, filter=kernel, out_backprop=out, **common
            )

        # The image itself needs no gradient.
        passes = (forward, of_kernel) if first else (forward, of_kernel, of_input)
        first = False
        for one in passes:
            milliseconds += timed(lambda one=one: one())
            rows, columns, inside, outside = kernel.shape
            pixels = out.shape[1] * out.shape[2]
            operations += 2.0 * batch * pixels * rows * columns * inside * outside
    return milliseconds, operations


if __name__ == "__main__":
    flags.DEFINE_string("size", "6x128x16", "Batch x pixels x filters.")
    flags.DEFINE_integer("steps", 10, "Steps that are measured.", lower_bound=1)
    app.run(main)

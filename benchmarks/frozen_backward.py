"""What frozen leading blocks save: convolutions in the backward pass, and time.

    python -m benchmarks.frozen_backward

For nothing frozen, ``enc1``, ... ``enc1-enc4``: counts the convolution gradients that the traced
training step executes, and times an epoch of steps on random slices. The variants take turns;
medians and their ratio to nothing frozen are printed.
"""

import re
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable

from absl import app, flags

FLAGS = flags.FLAGS


def main(argv: list[str]) -> int:
    del argv
    from liver_tf.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    import numpy as np
    import tensorflow as tf

    from liver_tf.model.blocks import ENCODER, format_blocks

    side, classes = FLAGS.image_size, 5
    generator = np.random.default_rng(0)
    shape = (FLAGS.batch_size, side, side)
    images = tf.constant(generator.uniform(-160, 240, shape), tf.float32)
    labels = tf.constant(generator.integers(0, classes, shape), tf.uint8)
    choices = [ENCODER[:count] for count in range(5)]
    steps = {fixed: _step(fixed, side, FLAGS.base_filters, classes) for fixed in choices}
    for step in steps.values():
        step(images, labels, {})
    seconds: dict[tuple, list[float]] = {fixed: [] for fixed in choices}
    for _ in range(FLAGS.rounds):
        for fixed, step in steps.items():
            started = time.perf_counter()
            losses = [step(images, labels, {}) for _ in range(FLAGS.steps)]
            float(losses[-1])
            seconds[fixed].append(time.perf_counter() - started)
    print(
        f"{side} x {side} pixels, {FLAGS.base_filters} filters, batch {FLAGS.batch_size}, epochs "
        f"of {FLAGS.steps} steps, {FLAGS.rounds} rounds"
    )
    print("| fixed | gradients of kernels | gradients of inputs | seconds an epoch | of none |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for fixed, step in steps.items():
        kernels, inputs = backward_convolutions(step)
        median = statistics.median(seconds[fixed])
        ratio = statistics.median(
            one / none for one, none in zip(seconds[fixed], seconds[()], strict=True)
        )
        counts = f"{kernels.total()} | {inputs.total()}"
        print(f"| {format_blocks(fixed)} | {counts} | {median:.2f} | {ratio:.2f} |")
    return 0


def _step(fixed: Iterable[str], side: int, filters: int, classes: int) -> Callable:
    from liver_tf.model import unet
    from liver_tf.model.architecture import Architecture
    from liver_tf.model.freezing import freeze
    from liver_tf.training.optimiser import make_optimiser
    from liver_tf.training.task import Task
    from liver_tf.training.training_step import training_step

    model = unet.build(Architecture(side, filters, classes))
    freeze(model, fixed)
    task = Task(100.0, 30.0, (1.0,) * classes, (-160, 240))
    return training_step(model, make_optimiser(), task)


def backward_convolutions(step: Callable) -> tuple[Counter[str], Counter[str]]:
    """How often a training step that was called once goes backwards through each convolution.

    Twice for inputs that come from two sides, the skip connection and what is below. Only
    operations that lead to something count: TensorFlow traces more, and does not execute it.

    Returns:
      By layer, gradients of the kernel, and gradients of inputs.
    """
    graph = step.traced[0].get_concrete_function().graph
    waiting = [tensor.op for tensor in graph.outputs] + list(graph.control_outputs)
    used = {}
    while waiting:
        operation = waiting.pop()
        if operation.name not in used:
            used[operation.name] = operation
            waiting += [tensor.op for tensor in operation.inputs] + list(operation.control_inputs)
    kernels, inputs = Counter(), Counter()
    for name, operation in used.items():
        # TensorFlow numbers scopes that it meets again: enc1_conv1_1.
        layer = re.search(r"gradient_tape/.*?/?((?:enc|dec|head)\d?_[a-z]+\d?)(?:_\d+)?/", name)
        if layer is None:
            continue
        if operation.type == "Conv2DBackpropFilter":
            kernels[layer[1]] += 1
        # The gradient of a transposed convolution's input is a convolution.
        elif operation.type in ("Conv2DBackpropInput", "Conv2D"):
            inputs[layer[1]] += 1
    return kernels, inputs


def _define_flags() -> None:
    flags.DEFINE_integer("image_size", 128, "Side of the image.")
    flags.DEFINE_integer("base_filters", 16, "Channels of the first block.")
    flags.DEFINE_integer("batch_size", 4, "Slices per step.")
    flags.DEFINE_integer("steps", 10, "Steps per epoch.")
    flags.DEFINE_integer("rounds", 7, "Interleaved rounds.")


if __name__ == "__main__":
    _define_flags()
    app.run(main)

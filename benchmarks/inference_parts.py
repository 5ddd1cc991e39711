"""Which parts of a network's inference take the time.

    python -m benchmarks.inference_parts

Processor time of one core, the shortest of interleaved rounds: the network of ``predict`` (weights
are variables), of an exported model (weights are constants), the latter without its batch
normalisation (what folding it away could save at most), and its convolutions one by one.
"""

import os
import time
from collections.abc import Callable
from unittest import mock

from absl import app, flags

from benchmarks.peer_unet import precisions

FLAGS = flags.FLAGS


def main(argv: list[str]) -> int:
    del argv
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ[name] = "1"
    from liver_tf.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    for size in FLAGS.sizes:
        batch, side, filters = (int(number) for number in size.split("x"))
        for precision in FLAGS.precisions or precisions():
            ways = _ways(batch, side, filters, precision)
            seconds = _shortest(ways, FLAGS.rounds)
            print(f"\nbatch {batch}, {side} x {side}, {filters} filters, {precision}")
            print("| | ms per image | of the exported network |\n| --- | ---: | ---: |")
            whole = seconds["exported"]
            for name, taken in seconds.items():
                print(f"| {name} | {1000 * taken / batch:.1f} | {taken / whole:.2f} |", flush=True)
    return 0


def _shortest(ways: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Seconds of each way; it returns those of one call."""
    for once in ways.values():
        once()
    found = [{name: once() for name, once in ways.items()} for _ in range(rounds)]
    return {name: min(each[name] for each in found) for name in ways}


def _ways(batch: int, side: int, filters: int, precision: str) -> dict[str, Callable[[], float]]:
    import numpy as np
    import tensorflow as tf

    from liver_tf.inference.trained_network import TrainedNetwork
    from liver_tf.labels import LESION_TYPES
    from liver_tf.model import unet
    from liver_tf.model.architecture import Architecture
    from liver_tf.model.batch_norm import FusedBatchNormalization
    from liver_tf.model.description import Description

    architecture = Architecture(side, filters, len(LESION_TYPES))
    model = unet.build(architecture, precision=precision)
    description = Description(
        *("lesion", architecture, LESION_TYPES, (-160, 240), 100.0, 30.0, "0" * 64), roi=None
    )
    network = TrainedNetwork(model, description)
    exported, without = network.with_constants(), network.with_constants()
    exported.softmax.get_concrete_function()
    with mock.patch.object(
        FusedBatchNormalization, "call", lambda layer, x, **_: tf.cast(x, layer.compute_dtype)
    ):
        without.softmax.get_concrete_function()
    generator = np.random.default_rng(0)
    images = tf.constant(generator.normal(size=(batch, side, side, 1)), tf.float32)
    convolutions = [
        _convolution(layer, batch) for layer in model.layers if hasattr(layer, "kernel")
    ]
    return {
        "predict": lambda: _seconds(network.softmax, images),
        "exported": lambda: _seconds(exported.softmax, images),
        "exported, without batch normalisation": lambda: _seconds(without.softmax, images),
        "its convolutions, one by one": lambda: sum(once() for once in convolutions),
    }


def _convolution(layer, batch: int) -> Callable[[], float]:
    """A convolution of the network with its bias and activation, on random features."""
    import numpy as np
    import tensorflow as tf

    shapes = layer.input.shape if not isinstance(layer.input, list) else None
    if shapes is None:
        first, second = (each.shape for each in layer.input)
        shapes = (*first[:-1], first[-1] + second[-1])
    values = np.random.default_rng(0).normal(size=(batch, *shapes[1:]))
    features = tf.constant(values, layer.compute_dtype)
    kernel, bias = (
        tf.constant(weight.numpy(), layer.compute_dtype) for weight in (layer.kernel, layer.bias)
    )
    up = layer.name.endswith("_up")
    rows, columns = shapes[1] * 2, shapes[2] * 2

    @tf.function(input_signature=[tf.TensorSpec(features.shape, features.dtype)], autograph=False)
    def convolve(features):
        if up:
            size = [batch, rows, columns, bias.shape[0]]
            return tf.nn.bias_add(tf.nn.conv2d_transpose(features, kernel, size, 2), bias)
        outputs = tf.nn.bias_add(tf.nn.conv2d(features, kernel, 1, "SAME"), bias)
        return outputs if layer.name.startswith("head") else tf.nn.relu(outputs)

    return lambda: _seconds(convolve, features)


def _seconds(function: Callable, argument) -> float:
    started = time.process_time()
    function(argument)
    return time.process_time() - started


def _define_flags() -> None:
    flags.DEFINE_list("sizes", ["1x256x32", "8x256x32"], "Batch x side x base filters.")
    flags.DEFINE_list("precisions", None, "Default: those that the processor has.")
    flags.DEFINE_integer("rounds", 15, "Interleaved rounds.")


if __name__ == "__main__":
    _define_flags()
    app.run(main)

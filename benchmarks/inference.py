"""Inference speed of a network compared with PyTorch and OpenVINO.

    pip install -e '.[bench,openvino]' -c constraints.txt
    python -m benchmarks.inference

Standardised images in, softmax out; batches of 8 and of 1. Ours is the network of ``predict`` and
the SavedModel (``inference.trained_network``); OpenVINO reads it as a SavedModel; PyTorch has the
same layers (``benchmarks/peer_unet.py``) in ``inference_mode``. Each implementation runs in a
separate process; they take turns. Every table is of one precision: float32, and bfloat16 if the
processor has instructions for it.
"""

import itertools
import statistics
import tempfile
import time
from collections.abc import Callable

from absl import app, flags

from benchmarks.kept import Rounds, define_flag, keep
from benchmarks.peer_unet import precisions
from benchmarks.turns import take_turns

FLAGS = flags.FLAGS
OURS = "liver_tf"
CLASSES = 5


def main(argv: list[str]) -> int:
    del argv
    makers = {
        OURS: (ours,),
        "PyTorch, channels last": (_torch, False),
        "PyTorch, torch.compile": (_torch, True),
        "OpenVINO": (_openvino,),
    }
    wanted = FLAGS.ways or list(makers)
    for size, precision in itertools.product(FLAGS.sizes, FLAGS.precisions or precisions()):
        batch, side, filters = (int(number) for number in size.split("x"))
        ways = {
            name: (make, (*more, batch, side, filters, FLAGS.images, precision))
            for name, (make, *more) in makers.items()
            if name in wanted
        }
        rounds = Rounds(
            f"inference, batch {batch}, {side} x {side}, {filters} filters, {precision}",
            "images/s",
            True,
            OURS,
            take_turns(ways, FLAGS.rounds),
        )
        print(f"\n{rounds.work}; {FLAGS.rounds} rounds of {FLAGS.images} images")
        print("| | images a second | ours / it |\n| --- | ---: | ---: |")
        for name, rates in rounds.seen.items():
            ratios = rounds.ratios(name)
            print(
                f"| {name} | {statistics.median(rates):.1f} "
                f"| {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |",
                flush=True,
            )
        keep(rounds)
    return 0


def _timed(infer: Callable[[], object], batch: int, images: int) -> Callable[[], float]:
    for _ in range(3):
        infer()
    calls = max(images // batch, 1)

    def turn() -> float:
        started = time.perf_counter()
        for _ in range(calls):
            infer()
        return calls * batch / (time.perf_counter() - started)

    return turn


def _images(batch: int, side: int):
    import numpy as np

    return np.random.default_rng(0).normal(0, 1, (batch, side, side, 1)).astype(np.float32)


def _network(side: int, filters: int, precision: str = "float32"):
    from liver_tf.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    from benchmarks.cascade import make_network

    return make_network("lesion", side, filters, precision)


def ours(
    batch: int, side: int, filters: int, images: int, precision: str = "float32"
) -> Callable[[], float]:
    import tensorflow as tf

    network = _network(side, filters, precision)
    batch_of = tf.constant(_images(batch, side))
    return _timed(lambda: network.softmax(batch_of).numpy(), batch, images)


def _openvino(batch: int, side: int, filters: int, images: int, precision: str) -> Callable:
    from liver_tf.serving.quiet_openvino import import_openvino

    openvino = import_openvino()
    import tensorflow as tf

    network = _network(side, filters)
    # The model is float32; OpenVINO converts it.
    hint = {"float32": "f32", "bfloat16": "bf16"}[precision]
    core = openvino.Core()
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(tf.Module(), folder, signatures=network.with_constants().softmax)
        options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": hint}
        model = core.compile_model(core.read_model(folder), "CPU", options)
    batch_of = _images(batch, side)
    return _timed(lambda: model([batch_of]), batch, images)


def _torch(
    compiled: bool, batch: int, side: int, filters: int, images: int, precision: str
) -> Callable:
    import torch

    from benchmarks.peer_unet import torch_unet

    model = torch_unet(filters, CLASSES, precision).to(memory_format=torch.channels_last).eval()
    batch_of = torch.from_numpy(_images(batch, side)).permute(0, 3, 1, 2)
    batch_of = batch_of.contiguous(memory_format=torch.channels_last)

    def forward(images):
        return torch.softmax(model(images), 1)

    forward = torch.compile(forward) if compiled else forward

    def infer():
        with torch.inference_mode():
            return forward(batch_of)

    return _timed(infer, batch, images)


if __name__ == "__main__":
    flags.DEFINE_integer("rounds", 7, "Interleaved rounds.", lower_bound=1)
    flags.DEFINE_integer("images", 16, "Images per turn.", lower_bound=1)
    flags.DEFINE_list("sizes", ["8x256x32", "1x256x32"], "Batches x pixels x filters.")
    flags.DEFINE_list("precisions", [], "float32, bfloat16; default: those of this processor.")
    flags.DEFINE_list("ways", [], "Implementations to measure, including ours; default: all.")
    define_flag()
    app.run(main)

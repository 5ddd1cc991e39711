"""Speed on a GPU beside PyTorch: training steps and inference, in every precision, with XLA.

    python -m benchmarks.gpu_check

One command of at most ``--minutes``. Each implementation computes all sizes in a process of its
own, one after the other; float32 means what each library does with it (TF32 in convolutions).
After the table it lists what did not run, and why; the status is 0 only if everything ran. PyTorch
is measured if it is installed with CUDA. ``--device=cpu`` tries the script on a processor.
"""

import itertools
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

from absl import app, flags

FLAGS = flags.FLAGS
CLASSES = 5
PRECISIONS = ("float32", "float16", "bfloat16")
OURS, OURS_XLA, TORCH, TORCH_COMPILED = WAYS = (
    *("liver_tf", "liver_tf, XLA"),
    *("PyTorch, channels last", "PyTorch, torch.compile"),
)
#: The order of execution: what compiles longest comes last.
ORDER = (OURS, TORCH, OURS_XLA, TORCH_COMPILED)


def main(argv: list[str]) -> int:
    del argv
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    end = time.monotonic() + FLAGS.minutes * 60
    missing: list[str] = []
    devices = {}
    for library, find in (("liver_tf", _tensorflow_device), ("PyTorch", _torch_device)):
        answer = _last(find, (FLAGS.device,), end)
        devices[library] = answer if answer.startswith("found ") else ""
        if devices[library]:
            print(f"{library}: {answer}")
        else:
            missing.append(f"{library}, all rows: {answer}")
    rates: dict[tuple[str, str, str], float] = {}
    planned = [
        (way, precision)
        for way, precision in itertools.product(ORDER, FLAGS.precisions)
        if devices[way.split(",")[0]]
    ]
    for way, precision in planned:
        print(f"{way}, {precision} ({end - time.monotonic():.0f} s left)", flush=True)
        for size, rate, problem in _measured(way, precision, end):
            if problem:
                missing.append(f"{way}, {precision}, {size}: {problem}")
            else:
                rates[way, precision, size] = rate
    if rates:
        print("\n".join(table(rates, FLAGS.sizes)))
    if missing:
        print(f"\nDID NOT RUN, {len(missing)}:")
        print("\n".join(f"- {line}" for line in missing))
    else:
        print("\neverything ran")
    return int(bool(missing))


def table(rates: dict[tuple[str, str, str], float], sizes: list[str]) -> list[str]:
    """Images a second by size and precision; a ratio compares the best of both in one precision."""
    lines = [
        f"\n| work | precision | {' | '.join(WAYS)} | best of liver_tf / best of PyTorch |",
        "| --- | --- |" + " ---: |" * (len(WAYS) + 1),
    ]
    for size, precision in itertools.product(sizes, PRECISIONS):
        found = [rates.get((way, precision, size)) for way in WAYS]
        if not any(found):
            continue
        cells = [f"{rate:,.0f}" if rate else "-" for rate in found]
        ours, theirs = (max((r for r in pair if r), default=0.0) for pair in (found[:2], found[2:]))
        ratio = f"{ours / theirs:.2f}" if ours and theirs else "-"
        lines.append(f"| {size} | {precision} | {' | '.join(cells)} | {ratio} |")
    return lines


def _measured(way: str, precision: str, end: float) -> list[tuple[str, float, str]]:
    """For each size the images a second, or why there are none."""
    answers = {}
    problem = "no time left"
    if time.monotonic() < end:
        arguments = (FLAGS.device, way, precision, FLAGS.sizes, FLAGS.rounds)
        messages, problem = _run(_rates, arguments, end)
        answers = {size: (rate, trouble) for size, rate, trouble in messages}
    return [(size, *answers.get(size, (0.0, problem))) for size in FLAGS.sizes]


def _last(work: Callable, arguments: tuple, end: float) -> str:
    messages, problem = _run(work, arguments, end)
    return messages[-1] if messages else problem


def _run(work: Callable, arguments: tuple, end: float) -> tuple[list, str]:
    """What ``work(send, *arguments)`` sent from a new process until ``end``, and how it ended."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(sender, work, arguments))
    process.start()
    sender.close()
    messages, problem = [], "the process ended without an answer"
    try:
        while receiver.poll(max(end - time.monotonic(), 0)):
            messages.append(receiver.recv())
        problem = "stopped at the time limit"
    except EOFError:
        process.join(10)
        if process.exitcode:
            problem = f"the process ended with status {process.exitcode}"
    finally:
        process.kill()
        process.join()
    return messages, problem


def _child(sender: Connection, work: Callable, arguments: tuple) -> None:
    work(sender.send, *arguments)


def _tensorflow_device(send: Callable, device: str) -> None:
    from liver_tf.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    import tensorflow as tf

    found = tf.config.list_physical_devices(device.upper())
    if not found:
        send("TensorFlow finds no GPU; check nvidia-smi and pip install 'tensorflow[and-cuda]'")
        return
    about = tf.config.experimental.get_device_details(found[0])
    send(f"found {about.get('device_name', device)}, TensorFlow {tf.__version__}")


def _torch_device(send: Callable, device: str) -> None:
    try:
        import torch
    except ImportError:
        send("PyTorch is not installed; pip install torch")
        return
    if device == "gpu" and not torch.cuda.is_available():
        send("PyTorch finds no GPU, or was built without CUDA")
        return
    name = torch.cuda.get_device_name() if device == "gpu" else device
    send(f"found {name}, PyTorch {torch.__version__}")


def _rates(send: Callable, device: str, way: str, precision: str, sizes: list, rounds: int) -> None:
    """Send (size, images a second, why not) for each size."""
    for size in sizes:
        work, shape = size.split(":")
        batch, side, filters = map(int, shape.split("x"))
        try:
            if way in (OURS, OURS_XLA):
                compute = _ours(work, batch, side, filters, precision, xla=way == OURS_XLA)
            else:
                compiled = way == TORCH_COMPILED
                compute = _torch(device, work, batch, side, filters, precision, compiled=compiled)
            send((size, _rate(compute, batch, rounds), ""))
        except Exception as error:
            text = str(error).strip().splitlines() or [""]
            send((size, 0.0, f"{type(error).__name__}: {text[0][:200]}"))


def _rate(compute: Callable[[], float], batch: int, rounds: int) -> float:
    """Images a second, median of the rounds; ``compute`` returns once the device is done."""
    for _ in range(3):
        compute()
    started = time.perf_counter()
    compute()
    calls = max(int(0.2 / (time.perf_counter() - started)), 1)
    rates = []
    for _ in range(rounds):
        started = time.perf_counter()
        for _ in range(calls):
            value = compute()
        assert value == value, "the result is NaN"
        rates.append(calls * batch / (time.perf_counter() - started))
    return statistics.median(rates)


def _ours(work: str, batch: int, side: int, filters: int, precision: str, *, xla: bool) -> Callable:
    from liver_tf.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    import tensorflow as tf

    from benchmarks.training_step import WEIGHTS, _batch
    from liver_tf.model import unet
    from liver_tf.model.architecture import Architecture
    from liver_tf.training.optimiser import make_optimiser
    from liver_tf.training.task import Task
    from liver_tf.training.training_step import training_step

    model = unet.build(Architecture(side, filters, CLASSES), precision=precision)
    images, labels = (tf.constant(array) for array in _batch(batch, side))
    if work == "training":
        task = Task(0.0, 1.0, WEIGHTS, (-160, 240))
        step = training_step(model, make_optimiser(precision), task, jit_compile=xla)
        return lambda: float(step(images, labels, {}))

    @tf.function(jit_compile=xla)
    def softmax(images):
        return tf.nn.softmax(model(images[..., None], training=False))

    return lambda: float(softmax(images).numpy()[0, 0, 0, 0])


def _torch(
    device: str, work: str, batch: int, side: int, filters: int, precision: str, *, compiled: bool
) -> Callable:
    import torch

    from benchmarks.peer_unet import torch_unet
    from benchmarks.training_step import WEIGHTS, _batch

    place = "cuda" if device == "gpu" else device
    model = torch_unet(filters, CLASSES, precision).to(place, memory_format=torch.channels_last)
    images, labels = (torch.from_numpy(array).to(place) for array in _batch(batch, side))
    images = images[:, None].contiguous(memory_format=torch.channels_last)
    labels, weights = labels.long(), torch.tensor(WEIGHTS, device=place)
    if work != "training":
        model.eval()

        def forward(images):
            return torch.softmax(model(images), 1)

        forward = torch.compile(forward) if compiled else forward

        def infer() -> float:
            with torch.inference_mode():
                return float(forward(images).cpu()[0, 0, 0, 0])

        return infer
    adam = torch.optim.Adam(model.parameters(), 1e-4, fused=True)
    scaler = torch.amp.GradScaler(place, enabled=precision == "float16")

    def loss_of(images, labels):
        entropy = torch.nn.functional.cross_entropy(
            model(images), labels, weights, reduction="none"
        )
        return entropy.mean()

    loss_of = torch.compile(loss_of) if compiled else loss_of

    def step() -> float:
        adam.zero_grad(set_to_none=True)
        loss = loss_of(images, labels)
        scaler.scale(loss).backward()
        scaler.step(adam)
        scaler.update()
        return float(loss.detach())

    return step


if __name__ == "__main__":
    flags.DEFINE_float("minutes", 8.0, "Time limit; what is left then does not run.")
    flags.DEFINE_enum("device", "gpu", ["gpu", "cpu"], "Where to compute.")
    flags.DEFINE_list("precisions", list(PRECISIONS), "Precisions.")
    flags.DEFINE_integer("rounds", 5, "Rounds of 0.2 s.", lower_bound=1)
    flags.DEFINE_list(
        "sizes",
        [
            *("training:6x128x16", "training:1x128x16", "training:6x256x32"),
            *("inference:8x256x32", "inference:1x256x32"),
        ],
        "Work : batch x pixels x filters.",
    )
    app.run(main)

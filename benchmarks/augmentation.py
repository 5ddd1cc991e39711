"""Speed of augmentation compared with other libraries, at the same task.

    pip install -e '.[bench]' -c constraints.txt
    python -m benchmarks.augmentation

A float32 image and a uint8 label map of 256 x 256 pixels in memory; rotation +-20 degrees, zoom
0.9 to 1.1, shift +-10 %, every other slice mirrored, the image bilinear and the labels nearest;
fresh Gaussian noise of a random SD, contrast, brightness; batches of 8. Ours is the pipeline
itself (``BatchSource``, augmentation on the host); ``benchmarks/augmentation_peers.py`` holds the
others. Each implementation runs in a separate process; they take turns, one epoch each. The rate
is measured from the first batch of an epoch on; the time before it (building the graph, starting
workers) is a separate column. Ratios are computed per round; medians are printed.
"""

import functools
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from absl import app, flags

from benchmarks import augmentation_peers as peers
from benchmarks.kept import Rounds, define_flag, keep
from benchmarks.turns import take_turns

FLAGS = flags.FLAGS
OURS, PLAIN = "liver_tf", "liver_tf without XLA"
WORKERS = (0, 2)


def main(argv: list[str]) -> int:
    del argv
    wanted = FLAGS.peers if FLAGS.peers else list(peers.PEERS)
    ways = [(OURS, None), (PLAIN, None)]
    ways += [(name, workers) for name in wanted for workers in WORKERS]
    seen: dict[tuple, list[Epoch]] = take_turns({way: (_make, way) for way in ways}, FLAGS.rounds)
    print(
        f"{FLAGS.rounds} interleaved rounds of {peers.SLICES} slices; medians; "
        "ours / it: median of the rounds (least to greatest)"
    )
    print("| | workers | slices/s | ours / it | processor ms per slice | ms to the first batch |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    ours = [epoch.rate for epoch in seen[OURS, None]]
    for way, epochs in seen.items():
        name, workers = way[0], "" if way[1] is None else way[1]
        rates = [epoch.rate for epoch in epochs]
        ratios = [one / other for one, other in zip(ours, rates, strict=True)]
        print(
            f"| {name} | {workers} | {statistics.median(rates):,.0f} "
            f"| {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) "
            f"| {1000 * statistics.median(epoch.processor for epoch in epochs):.2f} "
            f"| {1000 * statistics.median(epoch.start for epoch in epochs):.0f} |"
        )
    keep(
        Rounds(
            f"augmentation, {peers.SIDE} x {peers.SIDE}, batch {peers.BATCH}",
            "slices/s",
            True,
            OURS,
            {
                name if workers is None else f"{name}, {workers} workers": [e.rate for e in epochs]
                for (name, workers), epochs in seen.items()
            },
        )
    )
    return 0


@dataclass(frozen=True)
class Epoch:
    """Slices per second and processor seconds per slice after the first batch; time before it."""

    rate: float
    processor: float
    start: float


def _make(name: str, workers: int | None) -> Callable[[], Epoch]:
    images, labels = peers.make_slices()
    if workers is None:
        with tempfile.TemporaryDirectory() as folder:
            # What fits into memory is read once.
            epoch = _ours(Path(folder), images, labels, compiled=name == OURS)
    else:
        epoch = peers.PEERS[name](images, labels, workers)
    _check(epoch, images, labels)
    # An epoch that does not count: graphs are compiled, workers are there.
    _timed(epoch)
    return functools.partial(_timed, epoch)


def _timed(epoch: Callable) -> Epoch:
    import psutil

    def processor() -> float:
        this = psutil.Process()
        times = [one.cpu_times() for one in (this, *this.children(recursive=True))]
        return sum(one.user + one.system for one in times)

    started = time.perf_counter()
    batches = iter(epoch())
    next(batches)
    first, before = time.perf_counter(), processor()
    seen = sum(len(images) for images, _ in batches)
    return Epoch(
        seen / (time.perf_counter() - first), (processor() - before) / seen, first - started
    )


def _check(epoch: Callable, images: np.ndarray, labels: np.ndarray) -> None:
    """Check that it does the task; also runs a first epoch, in which things are compiled."""
    seen = 0
    for moved, moved_labels in epoch():
        moved, moved_labels = np.asarray(moved), np.asarray(moved_labels)
        seen += len(moved)
        assert moved.dtype == np.float32, moved.dtype
        assert moved.size == moved_labels.size == len(moved) * images[0].size, moved.shape
        assert set(np.unique(moved_labels)) <= set(np.unique(labels))
        # Air comes in from outside, and there is noise on it.
        assert (moved_labels == 0).mean() > (labels == 0).mean()
        assert len(np.unique(moved)) > 0.5 * moved.size
    assert seen == len(images), seen


def _ours(folder: Path, images: np.ndarray, labels: np.ndarray, compiled: bool) -> Callable:
    from liver_tf.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    from liver_tf.pipeline.augmentation import xla
    from liver_tf.pipeline.augmentation.ranges import Ranges

    if not compiled:
        xla.available = lambda: False
    low, high = peers.WINDOW
    ranges = Ranges(
        rotation_degrees=peers.DEGREES,
        zoom=peers.ZOOM,
        shift=peers.SHIFT,
        flip=0.5,
        noise_hu=peers.NOISE * (high - low),
        gain=peers.GAIN,
        offset_hu=peers.OFFSET * (high - low),
    )
    source = _source(folder, low + images * (high - low), labels, ranges)
    number = 0

    def epoch():
        nonlocal number
        number += 1
        return ((batch, batch_labels) for batch, batch_labels, _ in source.epoch(number))

    return epoch


def _source(folder: Path, hu: np.ndarray, labels: np.ndarray, ranges):
    from liver_tf.labels import LESION_TYPES
    from liver_tf.pipeline.batches import BatchSource, Slices
    from liver_tf.records import case_statistics as record_statistics
    from liver_tf.records.manifest import CaseEntry, Manifest
    from liver_tf.records.record_schema import SliceRecord
    from liver_tf.records.shard_writer import write_shard
    from liver_tf.records.slice_hash import hash_slice

    records = [
        SliceRecord(*(image.astype(np.int16), label, (0.8, 0.8), "case", "patient", index, "cyst"))
        for index, (image, label) in enumerate(zip(hu, labels, strict=True))
    ]
    info = write_shard(folder / "case.tfrecord", records)
    sums = [record_statistics.of_slice(r.image, r.labels, len(LESION_TYPES)) for r in records]
    entry = CaseEntry(
        *("case", "patient", "patient", "case.tfrecord"),
        *(info.records, info.bytes, info.sha256, "cyst", record_statistics.total(sums)),
        hashes=tuple(hash_slice(r.image, r.slice_index) for r in records),
    )
    window = tuple(int(end) for end in peers.WINDOW)
    slices = Slices(
        folder, Manifest(LESION_TYPES, window, (entry,)), ("case",), peers.SIDE, tuple(range(5))
    )
    return BatchSource(slices, batch_size=peers.BATCH, seed=0, ranges=ranges)


if __name__ == "__main__":
    flags.DEFINE_integer("rounds", 7, "Interleaved rounds.", lower_bound=1)
    flags.DEFINE_list("peers", [], "Implementations to measure; default: all.")
    define_flag()
    app.run(main)

"""The DICOM node under load: time per series relative to ``predict`` alone, and memory.

    python -m benchmarks.dicom_node --series=20 --slices=100 --rows=512
    python -m benchmarks.dicom_node --series=50 --slices=20 --rows=256

Sends computed series at once, each in an association of its own, to a node with the networks in the
package, and waits for all results. ``predict`` alone is the same prediction without the node, of
three of the series, in the same process. Memory is the resident size of the process after each
series, sender and archive included; its growth is from the mean of the second fifth of the series
to that of the last fifth, because the first ones compile the graphs.
"""

import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil
from absl import app, flags

from liver_tf.bundled_networks import LESION, LIVER, bundled
from liver_tf.export.algorithm_identity import AlgorithmIdentity
from liver_tf.node.dicom_peers import require_packages
from liver_tf.node.node_settings import ListenSettings
from liver_tf.node.service import Node
from liver_tf.node.spool import DONE, FAILED
from liver_tf.prediction.one_scan import predict_scan
from liver_tf.prediction.prediction_settings import ResultSettings
from tests.builders.dicom_node import ARCHIVE, Archive, send, write_series

FLAGS = flags.FLAGS
flags.DEFINE_integer("series", 5, "Number of series.", lower_bound=1)
flags.DEFINE_integer("slices", 20, "Slices of each.", lower_bound=5)
flags.DEFINE_integer("rows", 128, "Rows and columns of each slice.", lower_bound=32)

ALONE = 3


def main(_: list[str]) -> None:
    require_packages()
    shape = (FLAGS.rows, FLAGS.rows)
    with tempfile.TemporaryDirectory() as name, Archive().running() as archive:
        folder = Path(name)
        series = [
            write_series(folder / f"series{number}", number, FLAGS.slices, shape)
            for number in range(FLAGS.series)
        ]
        settings = ListenSettings.of(
            port=0,
            spool=folder / "spool",
            send_to=[archive.name],
            allow=[ARCHIVE],
            complete_after=10,
            min_free_gb=0,
            max_associations=FLAGS.series + 1,
        )
        cascade = settings.load(settings.model)
        made_by = AlgorithmIdentity.of_runs((bundled(LIVER), bundled(LESION)))
        alone, alone_cpu = [], []
        for number in range(min(ALONE, FLAGS.series) + 1):
            started, cpu = time.monotonic(), time.process_time()
            paths = series[max(0, number - 1)]  # the first one compiles the graphs
            results = folder / f"alone{number}"
            predict_scan(cascade, paths[0].parent, results, ResultSettings(), made_by)
            alone.append(time.monotonic() - started)
            alone_cpu.append(time.process_time() - cpu)
        seconds, cpu_seconds = float(np.mean(alone[1:])), float(np.mean(alone_cpu[1:]))
        node, stop = Node(settings, cascade, made_by), threading.Event()
        thread = threading.Thread(target=node.run, args=(stop,))
        cpu = time.process_time()
        thread.start()
        try:
            total, sizes = run(node, series)
        finally:
            stop.set()
            thread.join()
        node_cpu = (time.process_time() - cpu) / FLAGS.series
        answered = len({one.StudyInstanceUID for one in archive.received})
        failed = node.spool.counts()[FAILED]
    print(f"{FLAGS.series} series of {FLAGS.slices} slices of {FLAGS.rows} x {FLAGS.rows}")
    print(f"answered: {answered}, failed: {failed}")
    print(f"predict alone: {seconds:.2f} s a series")
    print(f"node, from the first object to the last result: {total / FLAGS.series:.2f} s a series")
    print(f"ratio: {total / FLAGS.series / seconds:.2f}")
    print(
        f"processor time: {cpu_seconds:.2f} s alone, "
        f"{node_cpu:.2f} s with node, sender and archive in one process"
    )
    fifth = max(1, len(sizes) // 5)
    first, last = np.mean(sizes[fifth : 2 * fifth]), np.mean(sizes[-fifth:])
    growth = 100 * (last / first - 1)
    print(f"memory: {first / 2**20:.0f} MiB, then {last / 2**20:.0f} MiB ({growth:+.1f} %)")


def finished(node: Node) -> set[str]:
    """The series that are done or failed."""
    return {job.series for state in (DONE, FAILED) for job in node.spool.jobs(state)}


def run(node: Node, series: list[list[Path]]) -> tuple[float, list[int]]:
    """Send all series at once; returns seconds until all are done, and memory after each."""
    node_process, sizes = psutil.Process(), []
    started = time.monotonic()
    senders = [threading.Thread(target=send, args=(node.receiver.port, paths)) for paths in series]
    for sender in senders:
        sender.start()
    while len(done := finished(node)) < len(series):
        if len(done) > len(sizes):
            sizes.append(node_process.memory_info().rss)
        time.sleep(0.1)
    for sender in senders:
        sender.join()
    sizes.append(node_process.memory_info().rss)
    return time.monotonic() - started, sizes


if __name__ == "__main__":
    app.run(main)

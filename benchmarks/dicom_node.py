"""The DICOM node under load: time per series relative to ``predict`` alone, and memory.

    python -m benchmarks.dicom_node --series=20 --slices=100 --rows=512
    python -m benchmarks.dicom_node --series=50 --slices=20 --rows=256

``storescu`` of DCMTK sends series of a phantom patient, each in an association of its own, to a
node with the networks in the package, which asks the archive for the number of objects
(``--find``) and sends its results back to it. ``predict`` alone is the same prediction without the
node, of three of the series, in the same process. Memory is the resident size of this process,
which includes the archive, after each series; its growth is from the mean of the second fifth of
the series to that of the last fifth, because the first ones compile the graphs.
"""

import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
from absl import app, flags
from pynetdicom.events import Event

from liver_tf.bundled_networks import LESION, LIVER, bundled
from liver_tf.export.algorithm_identity import AlgorithmIdentity
from liver_tf.node.dicom_peers import require_packages
from liver_tf.node.node_settings import ListenSettings
from liver_tf.node.service import Node
from liver_tf.node.spool import DONE, FAILED
from liver_tf.phantom.cohort import volume_study
from liver_tf.phantom.random_streams import stream
from liver_tf.prediction.one_scan import predict_scan
from liver_tf.prediction.prediction_settings import ResultSettings
from tests.builders.dicom_node import ARCHIVE, NODE, Archive, write_series

FLAGS = flags.FLAGS
flags.DEFINE_integer("series", 5, "Number of series.", lower_bound=1)
flags.DEFINE_integer("slices", 20, "Slices of each.", lower_bound=5)
flags.DEFINE_integer("at_once", None, "Number of associations at once; default: --series.")
flags.DEFINE_integer("rows", 128, "Rows and columns of each slice.", lower_bound=32)

#: Patient of the phantom, and its seed: it has lesions.
PATIENT, SEED = 2, 0
ALONE = 3


class Counting(Archive):
    """An archive that keeps only the studies of what it gets."""

    def _keep(self, event: Event) -> int:
        self.received.append(str(event.dataset.StudyInstanceUID))
        return self.status


def main(_: list[str]) -> None:
    require_packages()
    hu, spacing_mm = phantom_scan(FLAGS.slices, FLAGS.rows)
    with tempfile.TemporaryDirectory() as name, Counting().running() as archive:
        folder = Path(name)
        series = [
            write_series(folder / f"series{number}", number, hu=hu, spacing_mm=spacing_mm)
            for number in range(FLAGS.series)
        ]
        settings = ListenSettings.of(
            port=0,
            spool=folder / "spool",
            ae_title=NODE,
            send_to=[archive.name],
            find=archive.name,
            complete_after=2,
            min_free_gb=0,
            max_associations=FLAGS.series + 1,
        )
        archive.listed = FLAGS.slices
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
        answered = len(set(archive.received))
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


def phantom_scan(slices: int, rows: int) -> tuple[np.ndarray, tuple[float, float, float]]:
    """int16 [slices, rows, rows] HU, and slice distance, row and column spacing in mm."""
    study = volume_study(SEED, PATIENT, slices)
    scanner, heights_mm = study.scanner, study.heights_mm
    hu = [
        scanner.take(stream(SEED, "noise", number), study.patient, study.lesions, z_mm, rows)[0]
        for number, z_mm in enumerate(heights_mm)
    ]
    pixel_mm = scanner.pixel_mm(rows)
    return np.stack(hu), (float(heights_mm[1] - heights_mm[0]), pixel_mm, pixel_mm)


def finished(node: Node) -> set[str]:
    """The series that are done or failed."""
    return {job.series for state in (DONE, FAILED) for job in node.spool.jobs(state)}


def run(node: Node, series: list[list[Path]]) -> tuple[float, list[int]]:
    """Send the series; returns seconds until all are done, and memory after each."""
    node_process, sizes = psutil.Process(), list[int]()
    started = time.monotonic()
    command = ["storescu", "-aet", ARCHIVE, "-aec", NODE, "+sd", "127.0.0.1"]
    port = str(node.receiver.port)
    with ThreadPoolExecutor(FLAGS.at_once or len(series)) as pool:
        senders = [
            pool.submit(subprocess.run, [*command, port, str(paths[0].parent)], check=True)
            for paths in series
        ]
        while len(done := finished(node)) < len(series):
            if len(done) > len(sizes):
                sizes.append(node_process.memory_info().rss)
            time.sleep(0.1)
    for sender in senders:
        sender.result()
    sizes.append(node_process.memory_info().rss)
    return time.monotonic() - started, sizes


if __name__ == "__main__":
    app.run(main)

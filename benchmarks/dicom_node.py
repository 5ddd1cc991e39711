"""The DICOM node under load: time per series relative to ``predict`` alone, and memory.

    python -m benchmarks.dicom_node --series=20 --slices=100 --rows=512
    python -m benchmarks.dicom_node --series=50 --slices=20 --rows=256

``storescu`` of DCMTK sends series of a phantom patient, each in its own association, to ``listen``,
which uses the networks in the package, asks the archive for the number of objects (``--find``) and
sends the results back to it. A first series, which compiles the graphs, is sent beforehand and not
counted. ``predict`` alone is the same prediction in this process. It runs on three series before
and on three after the measurement of the node, because other load changes the machine's speed.
Memory is the resident size of the node after each series; growth is measured from the mean of the
second fifth of the series to that of the last fifth.
"""

import resource
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
from absl import app, flags
from pynetdicom.events import Event

from liver_tf.bundled_networks import LESION, LIVER, bundled
from liver_tf.export.algorithm_identity import AlgorithmIdentity
from liver_tf.inference.cascade import Cascade
from liver_tf.inference.cascade_settings import ModelSettings
from liver_tf.node.dicom_peers import require_packages
from liver_tf.phantom.cohort import volume_study
from liver_tf.phantom.random_streams import stream
from liver_tf.prediction.one_scan import predict_scan
from liver_tf.prediction.prediction_settings import ResultSettings
from tests.builders.dicom_node import ARCHIVE, NODE, Archive, write_series
from tests.builders.killed_node import ListenProcess

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
        first, *series = [
            write_series(folder / f"series{number}", number, hu=hu, spacing_mm=spacing_mm)
            for number in range(FLAGS.series + 1)
        ]
        archive.listed = FLAGS.slices
        settings = ModelSettings.of()
        cascade = settings.load(settings.model)
        predict_alone(cascade, [first], folder)  # compiles the graphs
        alone = predict_alone(cascade, series[:ALONE], folder)
        flag = {"find": archive.name, "complete_after": 2, "max_associations": FLAGS.series + 1}
        node = ListenProcess(folder, archive.name, "trainers.listen", **flag)
        node.start()
        try:
            node.wait_until_it_listens()
            send_all(node, [first])
            seconds, cpu_seconds, sender_seconds, sizes = send_all(node, series)
        finally:
            node.stop()
        alone += predict_alone(cascade, series[-ALONE:], folder)
        answered = len(set(archive.received)) - 1
        failed = len(list((folder / "spool" / "failed").iterdir()))
    wall, cpu = np.mean(alone, axis=0)
    print(f"{FLAGS.series} series of {FLAGS.slices} slices of {FLAGS.rows} x {FLAGS.rows}")
    print(f"answered: {answered}, failed: {failed}")
    print(f"predict alone: {wall:.2f} s per series, processor time {cpu:.2f} s")
    print(
        f"node, from the first object to the last result: {seconds:.2f} s per series; processor "
        f"time {cpu_seconds:.2f} s, and {sender_seconds:.2f} s of the senders"
    )
    print(f"ratio: {seconds / wall:.2f}, of processor time {cpu_seconds / cpu:.2f}")
    fifth = max(1, len(sizes) // 5)
    early, last = np.mean(sizes[fifth : 2 * fifth]), np.mean(sizes[-fifth:])
    growth = 100 * (last / early - 1)
    print(f"memory: {early / 2**20:.0f} MiB, then {last / 2**20:.0f} MiB ({growth:+.1f} %)")


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


def predict_alone(
    cascade: Cascade, series: list[list[Path]], folder: Path
) -> list[tuple[float, float]]:
    """Wall-clock and processor seconds of each prediction."""
    made_by = AlgorithmIdentity.of_runs((bundled(LIVER), bundled(LESION)))
    measured = []
    for paths in series:
        started, cpu = time.monotonic(), time.process_time()
        with tempfile.TemporaryDirectory(dir=folder) as name:
            results = Path(name) / "results"
            predict_scan(cascade, paths[0].parent, results, ResultSettings(), made_by)
            measured.append((time.monotonic() - started, time.process_time() - cpu))
    return measured


def send_all(
    node: ListenProcess, series: list[list[Path]]
) -> tuple[float, float, float, list[int]]:
    """Send the series; returns seconds per series, and memory after each.

    The seconds are the wall-clock time until all series are done, and the processor time of the
    node and of the senders.
    """
    process, sizes = psutil.Process(node.process.pid), list[int]()
    before, started, cpu = finished(node), time.monotonic(), sum(process.cpu_times()[:2])
    senders_cpu = children_seconds()
    command = ["storescu", "-aet", ARCHIVE, "-aec", NODE, "+sd", "127.0.0.1", str(node.port)]
    with ThreadPoolExecutor(FLAGS.at_once or len(series)) as pool:
        senders = [
            pool.submit(subprocess.run, [*command, str(paths[0].parent)], check=True)
            for paths in series
        ]
        while (done := finished(node) - before) < len(series):
            if done > len(sizes):
                sizes.append(process.memory_info().rss)
            time.sleep(0.1)
    seconds = time.monotonic() - started
    for sender in senders:
        sender.result()
    sizes.append(process.memory_info().rss)
    parts = seconds, sum(process.cpu_times()[:2]) - cpu, children_seconds() - senders_cpu
    return *(part / len(series) for part in parts), sizes


def finished(node: ListenProcess) -> int:
    """Number of series that are done or failed."""
    return sum(len(list((node.folder / "spool" / state).iterdir())) for state in ("done", "failed"))


def children_seconds() -> float:
    """Processor time of the finished child processes, in seconds."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    app.run(main)

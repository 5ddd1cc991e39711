"""Memory and time for writing the results of a scan.

    python -m benchmarks.results_memory

A computed volume with a liver and lesions (that of ``benchmarks.cascade``, with noise) is read
from a NIfTI file and all its results are written: label map, lesion map, tables, overlays and the
page. Printed is the peak memory while they are written, above what was held before (scan, label
map, list of lesions), in units of the int16 volume.
"""

import itertools
import tempfile
import time
from pathlib import Path

import nibabel
import numpy as np
from absl import app, flags

from benchmarks.cascade import BODY_HU, LESIONS_HU, LIVER_HU, SPACING_MM, draw_volume
from liver_tf.ct.nifti_volume import read_nifti_volume
from liver_tf.export.algorithm_identity import AlgorithmIdentity
from liver_tf.export.scan_findings import ScanFindings
from liver_tf.export.scan_results import write_results
from liver_tf.inference.lesion_properties import find_lesions
from liver_tf.labels import LESION_TYPES, LIVER

FLAGS = flags.FLAGS


def labels_of(hu: np.ndarray) -> np.ndarray:
    """uint8 label map of what was drawn: the class of the nearest mean HU."""
    means = (BODY_HU, LIVER_HU, *LESIONS_HU)
    edges = [(low + high) / 2 for low, high in itertools.pairwise(means)]
    labels = np.empty(hu.shape, np.uint8)
    for one, values in zip(labels, hu, strict=True):
        one[:] = np.digitize(values, edges)
    return labels


def _mib(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1024


def main(argv: list[str]) -> int:
    del argv
    drawn = draw_volume(FLAGS.slices, FLAGS.side, FLAGS.lesions)
    labels = labels_of(drawn)
    generator = np.random.default_rng(1)
    for one in drawn:
        one += generator.normal(0, 12, one.shape).astype(np.int16)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "volume.nii"
        affine = np.diag([-SPACING_MM[2], -SPACING_MM[1], SPACING_MM[0], 1.0])
        nibabel.save(nibabel.Nifti1Image(drawn.transpose(2, 1, 0), affine), path)
        del drawn, one
        scan = read_nifti_volume(path)
        sure = labels[labels > LIVER][:, None, None] == np.arange(LIVER + 1, len(LESION_TYPES))
        lesions = find_lesions(labels, scan.hu, scan.spacing_mm, LESION_TYPES, probabilities=sure)
        del sure
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak
        before, started = _mib("VmRSS"), time.perf_counter()
        write_results(
            Path(folder) / "scan-001",
            ScanFindings(scan, labels, lesions, LESION_TYPES, bool((labels >= LIVER).any())),
            AlgorithmIdentity(),
            pictures=FLAGS.pictures,
        )
        seconds, peak = time.perf_counter() - started, _mib("VmHWM")
        page = (Path(folder) / "scan-001" / "scan.html").stat().st_size / 2**20
    volume = scan.hu.nbytes / 2**20
    print(f"{FLAGS.side} x {FLAGS.side} x {FLAGS.slices} voxels, {len(lesions)} lesions")
    print(
        "| figure | value |\n| --- | ---: |\n"
        f"| peak over what was held before, in int16 volumes | {(peak - before) / volume:.2f} |\n"
        f"| the same, MiB | {peak - before:.0f} |\n"
        f"| int16 volume, MiB | {volume:.0f} |\n"
        f"| page, MiB | {page:.1f} |\n"
        f"| seconds | {seconds:.1f} |"
    )
    return 0


if __name__ == "__main__":
    flags.DEFINE_integer("slices", 400, "Slices of the volume.", lower_bound=8)
    flags.DEFINE_integer("side", 512, "Rows and columns of the volume.", lower_bound=64)
    flags.DEFINE_integer("lesions", 40, "Lesions drawn; some touch.")
    flags.DEFINE_integer("pictures", 6, "Overlays drawn.")
    app.run(main)

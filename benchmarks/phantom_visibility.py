"""How visible the lesions of the phantom are, and whether networks find the visible ones.

    python -m benchmarks.phantom_visibility --phantom=DIR --run=RUN --run=RUN --run=RUN

The visibility of a lesion is the difference between its mean HU and the median of the liver, in
standard deviations of the mean HU of discs of the same size within the liver of the slice. It thus
accounts for noise, vessels and liver texture, as they affect a reader. The averaged probabilities
of the runs segment the slices of the phantom's test patients; a lesion is found at an IoU of 10 %
or more.
"""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from absl import app, flags
from scipy import ndimage, signal

from liver_tf.measures.lesion_matching import IOU_THRESHOLDS, match_components
from liver_tf.measures.size_bins import SIZE_BINS, size_bin

FLAGS = flags.FLAGS
LIVER, LESION = 1, 2
#: Width in pixels of the margin at the liver's edges and beside lesions that is left out.
MARGIN = 1
#: Minimum number of positions of a disc; a slice with fewer has too little liver.
LEAST_POSITIONS = 30
#: Limit between faint and clear lesions in the table, in standard deviations.
VISIBLE = 3.0


class Lesion(NamedTuple):
    """A lesion in a slice. ``visibility`` in standard deviations, always positive."""

    diameter_mm: float
    visibility: float
    found: bool


def visibility(hu: np.ndarray, liver: np.ndarray, lesion: np.ndarray) -> float | None:
    """Distance of a lesion's mean HU from the mean HU of discs of its size in the liver.

    Args:
      hu: float [rows, columns].
      liver: bool of the same shape, without lesions.
      lesion: bool of the same shape.

    Returns:
      Standard deviations; None if discs of this size fit into the liver at fewer than 30 positions.
    """
    radius = np.sqrt(lesion.sum() / np.pi)
    side = np.arange(-np.ceil(radius), np.ceil(radius) + 1)
    disc = (side[:, None] ** 2 + side**2 <= radius**2).astype(float)
    disc /= disc.sum()
    inside = ndimage.binary_erosion(liver, iterations=MARGIN).astype(float)
    covered = signal.fftconvolve(inside, disc, mode="same") > 1 - 1e-6
    if covered.sum() < LEAST_POSITIONS:
        return None
    means = signal.fftconvolve(hu, disc, mode="same")[covered]
    return float(abs(hu[lesion].mean() - np.median(means)) / means.std())


def lesions_of(folder: Path, runs: Sequence[Path]) -> Iterator[Lesion]:
    """The lesions of the test patients whose visibility can be computed."""
    from PIL import Image
    from tqdm import tqdm

    from liver_tf.bundled_networks import LIVER as LIVER_NETWORK
    from liver_tf.bundled_networks import bundled
    from liver_tf.ct.dicom_slice import read_dicom_slice
    from liver_tf.inference.cascade import Cascade
    from liver_tf.phantom.phantom_plan import TEST_PATIENTS

    cascade = Cascade.of_runs(bundled(LIVER_NETWORK), list(runs))
    patients = set((folder / TEST_PATIENTS).read_text(encoding="utf-8").split())
    slices = (folder / TEST_PATIENTS).parent
    with open(slices / "slices.csv", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["patient_id"] in patients]
    for row in tqdm(rows, desc="slices"):
        with Image.open(slices / row["mask"]) as image:
            labels = np.asarray(image)
        if not (labels >= LESION).any():
            continue
        scan = read_dicom_slice(slices / row["image"])
        hu, found = scan.hu[0].astype(float), cascade.predict(scan.hu, scan.spacing_mm).labels[0]
        numbers, _, overlaps, *_ = match_components(labels >= LESION, found >= LESION)
        area = float(np.prod(scan.spacing_mm[-2:]))
        for number, overlap in enumerate(overlaps, 1):
            lesion = numbers == number
            seen = visibility(hu, labels == LIVER, lesion)
            if seen is not None:
                diameter = 2 * np.sqrt(lesion.sum() * area / np.pi)
                yield Lesion(diameter, seen, bool(overlap >= IOU_THRESHOLDS[0]))


def table(lesions: Sequence[Lesion]) -> list[str]:
    """Number of lesions, and share found, by diameter and visibility."""
    lines = [
        f"| lesions | below {VISIBLE:g} SD | {VISIBLE:g} SD or more | all |",
        "| --- | ---: | ---: | ---: |",
    ]
    for title in SIZE_BINS:
        sized = [each for each in lesions if size_bin(each.diameter_mm) == title]
        faint = [each for each in sized if each.visibility < VISIBLE]
        clear = [each for each in sized if each.visibility >= VISIBLE]
        shares = " | ".join(map(_share, (faint, clear, sized)))
        lines.append(f"| {title.replace('_', ' ')} | {shares} |")
    return lines


def _share(lesions: Sequence[Lesion]) -> str:
    found = sum(each.found for each in lesions)
    return f"{found} of {len(lesions)} ({found / len(lesions):.2f})" if lesions else "-"


def main(argv: list[str]) -> int:
    del argv
    from liver_tf.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    lesions = list(lesions_of(Path(FLAGS.phantom), [Path(run) for run in FLAGS.run]))
    print("\n".join(table(lesions)))
    return 0


if __name__ == "__main__":
    flags.DEFINE_string("phantom", None, "Folder of the phantom.", required=True)
    flags.DEFINE_multi_string("run", None, "Fine-tuned run; several are averaged.", required=True)
    app.run(main)

"""A scan cut into slices, each a case of its own, and folds that split this one patient.

Every slice becomes a pair of files with its own number, so that conversion treats it as a case. The
folds state this. The leakage guard compares the pixels of the parts as usual; no pair is exempt.
"""

import gzip
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np

from liver_tf.atomic_files import atomic_write
from liver_tf.ct.nifti_volume import read_nifti_labels, read_nifti_volume
from liver_tf.ct.pseudonyms import pseudonym
from liver_tf.records.folds import Split, save_folds
from liver_tf.records.manifest import Manifest
from liver_tf.studies.transfer.scan_split import ScanSplit
from liver_tf.studies.transfer.transfer_results import TransferFold, save_layout

#: Written into every file that describes the parts.
CAUTION = (
    "ONE PATIENT in all parts: slices of a single scan, split on purpose and kept apart by "
    "distance. The results say nothing about other patients."
)

#: Number of the first slice, above all numbers of LiTS and of the phantoms.
_FIRST = 3001


@dataclass(frozen=True)
class ScanPair:
    """A scan and its segmentation as NIfTI files, described slice by slice from feet to head.

    Attributes:
      positions_mm: of the slices along their normal, from the first one.
      with_liver: whether the slice has liver.
      stored: index of the slice along the files' last axis.
    """

    volume: Path
    segmentation: Path
    positions_mm: tuple[float, ...]
    with_liver: tuple[bool, ...]
    stored: tuple[int, ...]


def read_pair(volume: Path, segmentation: Path) -> ScanPair:
    """Read a pair of files.

    Raises:
      Refusal: as ``read_nifti_volume`` and ``read_nifti_labels``.
      ValueError: slices are not stacked along the files' last axis.
    """
    scan = read_nifti_volume(volume)
    labels, _ = read_nifti_labels(segmentation, scan)
    if scan.source.axes[0] != 2:
        raise ValueError("expected files whose slices are stacked along the last axis")
    numbers = range(len(scan.hu))
    return ScanPair(
        volume,
        segmentation,
        tuple(round(number * scan.spacing_mm[0], 3) for number in numbers),
        tuple(np.any(labels > 0, axis=(1, 2)).tolist()),
        tuple(reversed(numbers) if scan.source.flips[0] else numbers),
    )


def used_slices(splits: Iterable[ScanSplit]) -> list[int]:
    """All slices that belong to any part, from feet to head."""
    used: set[int] = set()
    for split in splits:
        used.update(*split.training.values(), split.validation, split.test)
    return sorted(used)


def write_slices(pair: ScanPair, slices: Collection[int], output: Path) -> None:
    """Write slices as NIfTI pairs in LiTS naming, with their geometry; delete the other slices."""
    output.mkdir(parents=True, exist_ok=True)
    kept = set()
    for source, name in ((pair.volume, "volume"), (pair.segmentation, "segmentation")):
        image = nibabel.load(source)
        for number in slices:
            place = pair.stored[number]
            path = output / f"{name}-{_FIRST + number}.nii.gz"
            kept.add(path)
            # Without a time stamp the same slice gives the same bytes. An unchanged file is not
            # rewritten, so it is not converted again.
            content = gzip.compress(image.slicer[:, :, place : place + 1].to_bytes(), 1, mtime=0)
            if not path.is_file() or path.read_bytes() != content:
                with atomic_write(path) as temporary:
                    temporary.write_bytes(content)
    for number in range(len(pair.stored)):
        for name in ("volume", "segmentation"):
            path = output / f"{name}-{_FIRST + number}.nii.gz"
            if path not in kept:
                path.unlink(missing_ok=True)


def cases_of(numbers: Iterable[int], key: bytes) -> tuple[str, ...]:
    """The case pseudonyms that conversion gives slices."""
    return tuple(pseudonym(key, "case", f"lits-{_FIRST + number}") for number in numbers)


def folds_of(splits: Iterable[ScanSplit]) -> list[tuple[ScanSplit, int]]:
    """The split and the number of training slices of each fold."""
    return [(split, count) for split in splits for count in split.training]


def write_folds(path: Path, manifest: Manifest, splits: Sequence[ScanSplit], key: bytes) -> None:
    """Write a fold for every split and size of its training set, in the order of ``folds_of``.

    Test slices are listed from feet to head: they are evaluated together, as a part of a scan.
    """
    folds = []
    for split, count in folds_of(splits):
        parts = split.training[count], split.validation, split.test
        folds.append(Split(*(cases_of(part, key) for part in parts)))
    save_folds(path, manifest, tuple(folds), {"caution": CAUTION})


def write_layout(study: Path, splits: Sequence[ScanSplit], key: bytes) -> None:
    """Write ``layout.json`` of the study: the folds in millimetres."""
    folds = []
    for split, count in folds_of(splits):
        parts = split.training[count], split.validation, split.test
        training, validation, test = (
            tuple(split.positions_mm[number] for number in part) for part in parts
        )
        folds.append(
            TransferFold(
                end=split.end,
                count=count,
                training_mm=training,
                validation_mm=validation,
                test_mm=test,
                test_cases=cases_of(split.test, key),
                validation_apart_mm=split.distance_mm(split.training[count], split.validation),
                test_apart_mm=split.test_distance_mm(count),
            )
        )
    save_layout(study, folds, CAUTION)

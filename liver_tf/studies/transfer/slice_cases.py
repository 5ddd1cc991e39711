"""A scan cut into slices that are cases of their own, and folds that split this one patient.

Record sets never split a patient, but the transfer study has only one. It writes every slice as a
pair of files with its own number, so that conversion takes each for a case, and states this in the
folds. The leakage guard compares the pixels of the parts as usual; no pair is exempt.
"""

from __future__ import annotations

import gzip
from collections.abc import Collection, Sequence
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

#: Number of the first slice, above every number of LiTS and of the phantoms.
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
    count = len(scan.hu)
    numbers = range(count - 1, -1, -1) if scan.source.flips[0] else range(count)
    step = scan.spacing_mm[0]
    return ScanPair(
        volume,
        segmentation,
        tuple(round(number * step, 3) for number in range(count)),
        tuple(np.any(labels > 0, axis=(1, 2)).tolist()),
        tuple(numbers),
    )


def used_slices(splits: Sequence[ScanSplit]) -> list[int]:
    """All slices that belong to any part, from feet to head."""
    parts = [
        part
        for split in splits
        for part in (*split.training.values(), split.validation, split.test)
    ]
    return sorted({number for part in parts for number in part})


def write_slices(pair: ScanPair, slices: Collection[int], output: Path) -> None:
    """Write slices as NIfTI pairs in LiTS naming, with their geometry; delete other files."""
    output.mkdir(parents=True, exist_ok=True)
    kept = set()
    for source, name in ((pair.volume, "volume"), (pair.segmentation, "segmentation")):
        image = nibabel.load(source)
        for number in slices:
            place = pair.stored[number]
            path = output / f"{name}-{_FIRST + number}.nii.gz"
            piece = image.slicer[:, :, place : place + 1]
            kept.add(path)
            # Without a time stamp the same slice gives the same bytes. Unchanged files are not
            # rewritten, so they need not be converted again.
            content = gzip.compress(piece.to_bytes(), 1, mtime=0)
            if not path.is_file() or path.read_bytes() != content:
                with atomic_write(path) as temporary:
                    temporary.write_bytes(content)
    for path in set(output.glob("*.nii.gz")) - kept:
        path.unlink()


def case_of(number: int, key: bytes) -> str:
    """The case pseudonym that conversion gives a slice."""
    return pseudonym(key, "case", f"lits-{_FIRST + number}")


def folds_of(splits: Sequence[ScanSplit]) -> list[tuple[ScanSplit, int]]:
    """The split and the number of training slices of each fold."""
    return [(split, count) for split in splits for count in split.training]


def write_folds(path: Path, manifest: Manifest, splits: Sequence[ScanSplit], key: bytes) -> None:
    """Write a fold for every split and size of its training set, in the order of ``folds_of``.

    Test slices are listed from feet to head: they are evaluated together, as a part of a scan.
    """

    def cases(numbers: Sequence[int]) -> tuple[str, ...]:
        return tuple(case_of(number, key) for number in numbers)

    folds = tuple(
        Split(cases(split.training[count]), cases(split.validation), cases(split.test))
        for split, count in folds_of(splits)
    )
    save_folds(path, manifest, folds, {"caution": CAUTION})


def write_layout(study: Path, splits: Sequence[ScanSplit], key: bytes) -> None:
    """Write ``layout.json`` of the study: the folds in millimetres."""
    folds = []
    for split, count in folds_of(splits):
        training, validation, test = (
            tuple(split.positions_mm[number] for number in part)
            for part in (split.training[count], split.validation, split.test)
        )
        folds.append(
            TransferFold(
                end=split.end,
                count=count,
                training_mm=training,
                validation_mm=validation,
                test_mm=test,
                test_cases=tuple(case_of(number, key) for number in split.test),
                validation_apart_mm=split.distance_mm(split.training[count], split.validation),
                test_apart_mm=split.test_distance_mm(count),
            )
        )
    save_layout(study, folds, CAUTION)

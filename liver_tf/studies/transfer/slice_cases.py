"""A scan cut into slices that are cases of their own, and folds that divide this one patient.

A record set never divides a patient. The transfer study must, as it has one, and does so outside
of the program's rules for all others: it writes slices as pairs of files under numbers of their
own, so that conversion takes each for a case, and says so in the folds. The leakage guard compares
their pixels as always, and no pair is allowed.
"""

from __future__ import annotations

import gzip
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np

from liver_tf.atomic_files import atomic_write
from liver_tf.ct.nifti import read_nifti_labels, read_nifti_volume
from liver_tf.ct.pseudonyms import pseudonym
from liver_tf.records.folds import Split, save_folds
from liver_tf.records.manifest import Manifest
from liver_tf.studies.transfer.transfer_layout import Layout
from liver_tf.studies.transfer.transfer_results import TransferFold, save_layout

#: Goes into every file that tells of the parts.
CAUTION = (
    "ONE PATIENT in all parts: slices of a single scan, divided on purpose and kept apart by "
    "distance. Nothing measured on them speaks of other patients."
)

#: Numbers of the pieces begin here, above any of LiTS or of the phantoms.
_FIRST = 3001


@dataclass(frozen=True)
class Pair:
    """A scan and its outlines as NIfTI files, looked at slice by slice, feet to head.

    Attributes:
      positions_mm: of the slices along their normal, from the first one.
      with_liver: whether liver is drawn.
      stored: places of the slices along the files' last axis.
    """

    volume: Path
    segmentation: Path
    positions_mm: tuple[float, ...]
    with_liver: tuple[bool, ...]
    stored: tuple[int, ...]


def look(volume: Path, segmentation: Path) -> Pair:
    """Read a pair.

    Raises ``Refusal`` as ``read_nifti_volume`` and ``read_nifti_labels``, and ``ValueError`` where
    slices do not follow each other along the files' last axis.
    """
    scan = read_nifti_volume(volume)
    labels, _ = read_nifti_labels(segmentation, scan)
    if scan.source.axes[0] != 2:
        raise ValueError("expected files whose slices follow each other along the last axis")
    count = len(scan.hu)
    numbers = range(count - 1, -1, -1) if scan.source.flips[0] else range(count)
    step = scan.spacing_mm[0]
    return Pair(
        volume,
        segmentation,
        tuple(round(number * step, 3) for number in range(count)),
        tuple(np.any(labels > 0, axis=(1, 2)).tolist()),
        tuple(numbers),
    )


def used(layouts: Sequence[Layout]) -> list[int]:
    """All slices that are in any part, feet to head."""
    parts = [
        part
        for layout in layouts
        for part in (*layout.training.values(), layout.validation, layout.test)
    ]
    return sorted({number for part in parts for number in part})


def cut(pair: Pair, slices: Collection[int], output: Path) -> None:
    """Write some slices as NIfTI pairs in LiTS naming, geometry included; others are removed."""
    output.mkdir(parents=True, exist_ok=True)
    kept = set()
    for source, name in ((pair.volume, "volume"), (pair.segmentation, "segmentation")):
        image = nibabel.load(source)
        for number in slices:
            place = pair.stored[number]
            path = output / f"{name}-{_FIRST + number}.nii.gz"
            piece = image.slicer[:, :, place : place + 1]
            kept.add(path)
            # Without the time of writing in it the same slice gives the same bytes; what is there
            # is left alone, so that it need not be converted again.
            content = gzip.compress(piece.to_bytes(), 1, mtime=0)
            if not path.is_file() or path.read_bytes() != content:
                with atomic_write(path) as temporary:
                    temporary.write_bytes(content)
    for path in set(output.glob("*.nii.gz")) - kept:
        path.unlink()


def case_of(number: int, key: bytes) -> str:
    """Pseudonym under which conversion takes a slice for a case."""
    return pseudonym(key, "case", f"lits-{_FIRST + number}")


def folds_of(layouts: Sequence[Layout]) -> list[tuple[Layout, int]]:
    """By number of the fold its layout, and how many slices are trained on."""
    return [(layout, count) for layout in layouts for count in layout.training]


def write_folds(path: Path, manifest: Manifest, layouts: Sequence[Layout], key: bytes) -> None:
    """Write a fold for every layout and every size of its training set, as ``folds_of`` counts.

    Test slices stand feet to head: they are measured as the stretch of the scan that they are.
    """

    def named(numbers: Sequence[int]) -> tuple[str, ...]:
        return tuple(case_of(number, key) for number in numbers)

    splits = tuple(
        Split(named(layout.training[count]), named(layout.validation), named(layout.test))
        for layout, count in folds_of(layouts)
    )
    save_folds(path, manifest, splits, {"caution": CAUTION})


def write_layout(study: Path, layouts: Sequence[Layout], key: bytes) -> None:
    """Write ``layout.json`` of the study: the folds in millimetres."""
    folds = []
    for layout, count in folds_of(layouts):

        def at(numbers: Sequence[int], layout: Layout = layout) -> tuple[float, ...]:
            return tuple(layout.positions_mm[number] for number in numbers)

        folds.append(
            TransferFold(
                end=layout.end,
                count=count,
                training_mm=at(layout.training[count]),
                validation_mm=at(layout.validation),
                test_mm=at(layout.test),
                test_cases=tuple(case_of(number, key) for number in layout.test),
                validation_apart_mm=layout.apart_mm(layout.training[count], layout.validation),
                test_apart_mm=layout.test_apart_mm(count),
            )
        )
    save_layout(study, folds, CAUTION)

"""Lesions of a label map: connected components with a type, a size and a mean HU."""

from __future__ import annotations

from dataclasses import dataclass

import cc3d
import numpy as np

from liver_tf.labels import HEALTHY, LIVER, LabelSet


@dataclass(frozen=True)
class Lesion:
    """One connected lesion of a scan.

    Attributes:
      number: from 1, feet to head. type: the majority class of its voxels (ties: the lower label).
      slices: first and last slice. voxels: their count.
      volume_ml: None where slice or pixel spacing is unknown. area_mm2: the largest in one slice,
        None where the pixel spacing is unknown.
      mean_hu: over its voxels.
    """

    number: int
    type: str
    slices: tuple[int, int]
    voxels: int
    volume_ml: float | None
    area_mm2: float | None
    mean_hu: float


def find_lesions(
    labels: np.ndarray,
    hu: np.ndarray,
    spacing_mm: tuple[float, float, float] | None,
    label_set: LabelSet,
) -> list[Lesion]:
    """Lesions of a scan; touching voxels (26 neighbours) of whatever type are one lesion.

    Args:
      labels: uint8 [slices, rows, columns]. hu: the same shape.
      spacing_mm: (slice, row, column); None or NaN entries where unknown.
    """
    components = cc3d.connected_components(
        np.ascontiguousarray(labels > LIVER).astype(np.uint8), connectivity=26
    )
    slice_mm, row_mm, column_mm = spacing_mm or (np.nan,) * 3
    pixel_mm2 = row_mm * column_mm
    lesions = []
    for number in range(1, int(components.max()) + 1):
        where = np.nonzero(components == number)
        types = np.bincount(labels[where], minlength=len(label_set))
        per_slice = np.bincount(where[0])
        lesions.append(
            Lesion(
                number=number,
                type=label_set.classes[int(np.argmax(types))],
                slices=(int(where[0].min()), int(where[0].max())),
                voxels=len(where[0]),
                volume_ml=_known(len(where[0]) * pixel_mm2 * slice_mm / 1000),
                area_mm2=_known(per_slice.max() * pixel_mm2),
                mean_hu=round(float(hu[where].mean()), 1),
            )
        )
    return lesions


def _known(value: float) -> float | None:
    return round(float(value), 3) if np.isfinite(value) else None


def diagnosis(labels: np.ndarray, label_set: LabelSet) -> str:
    """The majority class among all lesion voxels (paper), ``healthy`` where there is none."""
    counts = np.bincount(labels.reshape(-1), minlength=len(label_set))[LIVER + 1 :]
    return label_set.classes[LIVER + 1 + int(np.argmax(counts))] if counts.any() else HEALTHY

"""Where the lesions of a list lie: slice by slice for the page, and as points for other tools."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from liver_tf.ct.orientation import index_in_file
from liver_tf.ct.scan import Scan, has_geometry
from liver_tf.inference.lesion_components import LesionComponents

#: First row, first column, last row, last column, and the last column of the first row, in pixels:
#: the lesion's box in a slice, and where it can be named without a doubt which one is meant.
Place = tuple[int, int, int, int, int]


@dataclass(frozen=True)
class Centroid:
    """The mean of the centres of a lesion's voxels; of a bent lesion it may lie outside of it.

    Attributes:
      centroid_voxel: ``i``, ``j``, ``k``, index into the arrays of ``labels.nii.gz`` and
        ``lesion_ids.nii.gz``, from 0. For a NIfTI scan that is its own array; for DICOM it is
        column, row (as the slices store them) and slice (from the feet).
      centroid_mm: ``x``, ``y``, ``z`` in the patient; all None without geometry.
      centroid_space: the directions of x, y and z, as the scan's own files count them: ``RAS+``
        (NIfTI) or ``LPS+`` (DICOM).
    """

    centroid_voxel: dict[str, float]
    centroid_mm: dict[str, float | None]
    centroid_space: str


def centroids_of(ids: LesionComponents, scan: Scan) -> list[Centroid]:
    """The centroid of every lesion, voxels to a hundredth and mm to a hundredth."""
    points = ids.centroids()
    in_file = index_in_file(points, scan.source)
    from_dicom = scan.source.kind != "nifti"
    in_mm = points @ scan.affine[:3, :3].T + scan.affine[:3, 3]
    if from_dicom:
        in_file, in_mm = in_file[:, ::-1], in_mm * [-1.0, -1.0, 1.0]
    known = has_geometry(scan)
    return [
        Centroid(
            dict(zip("ijk", _hundredths(voxel), strict=True)),
            dict(zip("xyz", _hundredths(mm) if known else [None] * 3, strict=True)),
            "LPS+" if from_dicom else "RAS+",
        )
        for voxel, mm in zip(in_file, in_mm, strict=True)
    ]


def _hundredths(values: np.ndarray) -> list[float]:
    return (np.round(values, 2) + 0.0).tolist()  # no -0.0


def lesion_places(ids: LesionComponents) -> list[dict[int, Place]]:
    """For each lesion its place in every slice that it reaches, by slice."""
    runs = ids.runs
    keys, part = np.unique(ids.index * runs.shape[0] + runs.slice, return_inverse=True)
    top, left = np.full((2, len(keys)), np.iinfo(np.int64).max)
    bottom, right, corner = np.full((3, len(keys)), -1)
    for least, values in ((top, runs.row), (left, runs.start)):
        np.minimum.at(least, part, values)
    for most, values in ((bottom, runs.row), (right, runs.end - 1)):
        np.maximum.at(most, part, values)
    first = runs.row == top[part]
    np.maximum.at(corner, part[first], runs.end[first] - 1)
    places: list[dict[int, Place]] = [{} for _ in range(ids.count)]
    boxes = np.stack([top, left, bottom, right, corner], axis=1).tolist()
    for key, box in zip(keys.tolist(), boxes, strict=True):
        places[key // runs.shape[0]][key % runs.shape[0]] = tuple(box)
    return places

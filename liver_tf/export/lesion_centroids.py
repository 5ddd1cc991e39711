"""Lesion centroids as voxel indices and in mm, in the coordinates of the scan's files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from liver_tf.ct.orientation import index_in_file
from liver_tf.ct.scan import Scan, has_geometry
from liver_tf.inference.lesion_components import LesionComponents


@dataclass(frozen=True)
class Centroid:
    """The mean of the voxel centres of a lesion; it may lie outside a curved lesion.

    Attributes:
      centroid_voxel: ``i``, ``j``, ``k``, index into the arrays of ``labels.nii.gz`` and
        ``lesion_ids.nii.gz``, from 0. For a NIfTI scan these are the axes of its own array; for
        DICOM they are column, row (as stored in the slices) and slice (from the feet).
      centroid_mm: ``x``, ``y``, ``z`` in patient coordinates; all None without geometry.
      centroid_space: Directions of x, y and z: ``RAS+`` (NIfTI) or ``LPS+`` (DICOM).
    """

    centroid_voxel: dict[str, float]
    centroid_mm: dict[str, float | None]
    centroid_space: str


def centroids_of(components: LesionComponents, scan: Scan) -> list[Centroid]:
    """The centroid of every lesion, rounded to 0.01 voxels and 0.01 mm."""
    points = components.centroids()
    in_file = index_in_file(points, scan.source)
    in_mm = points @ scan.affine[:3, :3].T + scan.affine[:3, 3]
    from_dicom = scan.source.kind != "nifti"
    if from_dicom:
        in_file, in_mm = in_file[:, ::-1], in_mm * [-1.0, -1.0, 1.0]
    known = has_geometry(scan)
    return [
        Centroid(
            dict(zip("ijk", _rounded(voxel), strict=True)),
            dict(zip("xyz", _rounded(mm) if known else [None] * 3, strict=True)),
            "LPS+" if from_dicom else "RAS+",
        )
        for voxel, mm in zip(in_file, in_mm, strict=True)
    ]


def _rounded(values: np.ndarray) -> list[float]:
    return (np.round(values, 2) + 0.0).tolist()  # no -0.0

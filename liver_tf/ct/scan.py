"""A CT scan inside the program: HU in canonical orientation, with geometry.

Canonical axial orientation: arrays are ``[slices, rows, columns]``; slices run from feet to head,
rows from anterior to posterior, columns from the patient's right to left (radiological convention).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from liver_tf.ct.bad_input import bad_input
from liver_tf.refusals import Caution

if TYPE_CHECKING:
    from liver_tf.ct.nifti_header import NiftiPlacement


@dataclass(frozen=True)
class SourceGrid:
    """The mapping between canonical voxels and the source file.

    Attributes:
      kind: ``nifti``, ``dicom-slice`` or ``dicom-series``.
      path: The NIfTI file, the DICOM file, or the folder of the series.
      shape: Shape of the array in the file (NIfTI: as stored, [i, j, k]; DICOM: [slices, rows,
        columns] with the slices in the order of ``files``).
      axes: For each canonical axis (slices, rows, columns) the axis of the file's array.
      flips: For each canonical axis, whether it runs against the file's axis.
      affine: float64 [4, 4], file voxel index to patient mm in RAS+ (NIfTI only, else None).
      placement: Geometry fields of the header (NIfTI only, else None).
      files: DICOM files in canonical order of the slices (DICOM only, else empty).
      series_uid, instance_uids: Of the series and of each of ``files`` (DICOM only, else empty).
        For matching and for DICOM objects that refer to the scan only; never written elsewhere.
      instance_numbers: Of each of ``files``, as viewers display them (DICOM only, else empty).
      positions: Centre of the first stored pixel of each of ``files``, LPS+ mm [slices, 3]
        (DICOM only; None if unknown).
    """

    kind: str
    path: Path
    shape: tuple[int, ...]
    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    affine: np.ndarray | None = None
    files: tuple[Path, ...] = ()
    series_uid: str = field(default="", repr=False)
    instance_uids: tuple[str, ...] = field(default=(), repr=False)
    instance_numbers: tuple[int | None, ...] = field(default=(), repr=False)
    positions: np.ndarray | None = field(default=None, repr=False)
    placement: NiftiPlacement | None = field(default=None, repr=False)


class Placed(Protocol):
    """A scan, or a series of which the pixels have not been read."""

    @property
    def affine(self) -> np.ndarray: ...

    @property
    def source(self) -> SourceGrid: ...


@dataclass(frozen=True)
class Scan:
    """A CT scan, or a single slice of one, in canonical orientation.

    Attributes:
      hu: int16 or float32 [slices, rows, columns], Hounsfield units; float32 only if the values
        of the file are not whole HU.
      affine: float64 [4, 4], canonical (slice, row, column) index to patient mm in RAS+; unknown
        parts are NaN (see :func:`has_geometry`).
      spacing_mm: Along (slices, rows, columns). None if unknown (a single slice without
        PixelSpacing); the first entry is NaN if only the slice thickness is unknown.
      source: The mapping back to the file.
      cautions: Irregularities that were accepted.
      details: Scanner and settings, see :mod:`liver_tf.ct.scanner_details`.
    """

    hu: np.ndarray
    affine: np.ndarray
    spacing_mm: tuple[float, float, float] | None
    source: SourceGrid
    cautions: tuple[Caution, ...] = ()
    details: dict[str, str] = field(default_factory=dict)


def has_geometry(scan: Scan) -> bool:
    """Whether position, orientation and spacing are all known."""
    return scan.spacing_mm is not None and bool(np.isfinite(scan.affine).all())


def require_geometry(scan: Scan) -> None:
    """Raise ``Refusal`` (``no-geometry``) unless the scan can be placed in the patient in mm."""
    if not has_geometry(scan):
        expected = "an image with pixel spacing, slice thickness, position and orientation"
        found = "an image without at least one of them"
        raise bad_input("no-geometry", scan.source.path, expected, found)

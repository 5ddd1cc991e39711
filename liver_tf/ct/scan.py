"""The one form in which CT pixels travel through the program: HU with geometry.

Canonical axial orientation: an array is ``[slices, rows, columns]``; slices run from the feet to
the head, rows from front to back (anterior to posterior), columns from the patient's right to the
left, so that a slice on the screen looks as a radiologist is used to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from liver_tf.refusals import Caution, Refusal

if TYPE_CHECKING:
    from liver_tf.ct.nifti_file import NiftiPlacement


@dataclass(frozen=True)
class SourceGrid:
    """What is needed to map canonical voxels back to the file they came from.

    Attributes:
      kind: ``nifti``, ``dicom-slice`` or ``dicom-series``.
      path: the NIfTI file, the DICOM file, or the folder of the series.
      shape: shape of the array in the file (NIfTI: as stored, [i, j, k]; DICOM: [slices, rows,
        columns] with the slices in the order of ``files``).
      axes: for each canonical axis (slices, rows, columns) the axis of the file's array.
      flips: for each canonical axis, whether it runs against the file's axis.
      affine: 4 x 4, file voxel index to patient mm in RAS+ (NIfTI only, else None).
      placement: the geometry of the header that the affine is from (NIfTI only, else None).
      files: DICOM files, in canonical order of slices (DICOM only, else empty).
      series_uid, instance_uids: what a DICOM SEG refers to (DICOM only, else empty); one instance
        UID a file, in the order of ``files``. For matching, and for DICOM objects that refer to
        the scan; they must not be written anywhere else.
      positions: centre of the first stored pixel of each of ``files`` in mm, LPS+, [slices, 3]
        (DICOM only; None where the file does not tell).
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
    positions: np.ndarray | None = field(default=None, repr=False)
    placement: NiftiPlacement | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Scan:
    """A CT scan, or a single slice of one, in canonical orientation.

    Attributes:
      hu: int16 or float32 [slices, rows, columns], Hounsfield units; float32 only where the file's
        values are not whole HU.
      affine: float64 4 x 4, canonical (slice, row, column) index to patient mm in RAS+. What the
        file does not tell is NaN there (see :func:`has_geometry`).
      spacing_mm: distance of neighbouring voxels along (slices, rows, columns) in mm; None where
        the file does not tell (a single slice may lack PixelSpacing; its slice thickness may be
        unknown, then the first entry is NaN).
      source: how to get back to the file.
      cautions: what was odd but accepted.
      details: allow-listed, non-identifying facts for fingerprints, e.g. ``manufacturer``.
    """

    hu: np.ndarray
    affine: np.ndarray
    spacing_mm: tuple[float, float, float] | None
    source: SourceGrid
    cautions: tuple[Caution, ...] = ()
    details: dict[str, str] = field(default_factory=dict)


def has_geometry(scan: Scan) -> bool:
    """Whether position, orientation and spacing are all known, so that geometry may be written."""
    return scan.spacing_mm is not None and bool(np.isfinite(scan.affine).all())


def require_geometry(scan: Scan) -> None:
    """Raise ``Refusal`` (``no-geometry``) unless the scan can be placed in the patient in mm."""
    if not has_geometry(scan):
        raise Refusal(
            "no-geometry",
            scan.source.path,
            expected="pixel spacing, slice thickness, position and orientation of the image",
            found="an image whose file leaves at least one of them out",
            remedy="Results of this image can be drawn, but not written as NIfTI or DICOM SEG; "
            "export it again from the archive with its geometry.",
        )

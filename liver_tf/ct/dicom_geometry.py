"""Position and orientation of a DICOM slice in the patient (PS3.3 C.7.6.2), LPS+ and RAS+."""

from pathlib import Path

import numpy as np

from liver_tf.ct.bad_input import bad_input
from liver_tf.ct.dicom_slice_header import SliceHeader
from liver_tf.ct.orientation import OBLIQUE_DEGREES, canonical_axes, oblique_degrees
from liver_tf.refusals import Caution

LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])


def stored_affine_of(header: SliceHeader, slice_step: np.ndarray | None = None) -> np.ndarray:
    """float64 [4, 4], stored (slice, row, column) index to patient mm in RAS+; NaN if unknown.

    Args:
      header: Of the first slice.
      slice_step: From one slice to the next, mm in LPS+; by default along the normal, headwards.
    """
    affine = np.eye(4)
    affine[:3] = np.nan
    rows, columns = directions_of(header)
    if header.pixel_spacing_mm is not None:
        affine[:3, 1] = columns * header.pixel_spacing_mm[0]
        affine[:3, 2] = rows * header.pixel_spacing_mm[1]
    if slice_step is not None:
        affine[:3, 0] = slice_step
    elif header.thickness_mm is not None:
        affine[:3, 0] = upward_normal(header) * header.thickness_mm
    if header.position is not None and header.row_direction is not None:
        affine[:3, 3] = header.position
    affine[:3] *= LPS_TO_RAS[:, np.newaxis]
    return affine


def directions_of(header: SliceHeader) -> tuple[np.ndarray, np.ndarray]:
    """Row and column direction in LPS+; those of a usual axial slice if the file has none."""
    if header.row_direction is None or header.column_direction is None:
        return np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])
    return header.row_direction, header.column_direction


def upward_normal(header: SliceHeader) -> np.ndarray:
    """Unit normal of the slice in LPS+, towards the head."""
    normal = np.cross(*directions_of(header))
    return normal if normal[2] >= 0 else -normal


def axial_axes(
    header: SliceHeader, path: Path
) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """Axes and flips for ``SourceGrid``; raises ``Refusal`` ``dicom-not-axial``."""
    axes, flips = canonical_axes(_unit_axes(header))
    if axes[0] != 0:
        raise bad_input("dicom-not-axial", path, "an axial slice", "a coronal or sagittal one")
    return axes, flips


def oblique_caution(header: SliceHeader) -> tuple[Caution, ...]:
    """The caution ``dicom-oblique`` if the slice is tilted against the axes of the body."""
    angle = oblique_degrees(_unit_axes(header))
    if angle <= OBLIQUE_DEGREES:
        return ()
    note = f"an oblique slice ({angle:.1f} degrees) is used as an axial one, without resampling"
    return (Caution("dicom-oblique", note),)


def _unit_axes(header: SliceHeader) -> np.ndarray:
    """[3, 3], the directions of the stored (slice, row, column) axes in RAS+."""
    rows, columns = directions_of(header)
    axes = np.stack([upward_normal(header), columns, rows], axis=1)
    axes *= LPS_TO_RAS[:, np.newaxis]
    return axes

"""NIfTI volumes and label maps to canonical arrays, and label maps back to NIfTI."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Collection
from pathlib import Path

import nibabel
import numpy as np

from liver_tf.ct.hounsfield import NotFinite, rescale_to_hu
from liver_tf.ct.hu_plausibility import refuse_implausible_hu
from liver_tf.ct.nifti_file import NiftiHeader, read_nifti
from liver_tf.ct.orientation import (
    OBLIQUE_DEGREES,
    canonical_affine,
    canonical_axes,
    from_canonical,
    oblique_degrees,
    spacing_of,
    stored_affine,
    to_canonical,
)
from liver_tf.ct.scan import Scan, SourceGrid, require_geometry
from liver_tf.refusals import Caution, Refusal

#: Two affines that place a voxel farther apart than this are called different, in mm.
AFFINE_TOLERANCE_MM = 0.01


def read_nifti_volume(path: Path | str) -> Scan:
    """A CT volume (.nii or .nii.gz) in canonical orientation.

    ``hu`` is int16 where all values are whole HU and fit, else float32; it is a view of the voxels
    as read, so its strides may be negative. Peak memory is about twice the volume's int16 size for
    int16 files.

    Cautions: ``nifti-oblique``, ``nifti-sheared``, ``nifti-no-scale``, ``nifti-no-orientation``,
    ``nifti-identity-affine``, ``nifti-spacing-disagrees``.

    Raises:
      Refusal: as :func:`liver_tf.ct.nifti_file.read_nifti`, and ``hu-not-finite``,
        ``hu-unscaled``, ``hu-impossible``.
    """
    path = Path(path)
    header, stored = read_nifti(path)
    hu = stored_to_hu(stored.transpose(2, 1, 0), header, path)
    refuse_implausible_hu(float(hu.min()), float(hu.max()), path)
    grid = grid_of(path, header)
    affine = canonical_affine(header.affine, grid)
    return Scan(
        hu=to_canonical(hu.transpose(2, 1, 0), grid),
        affine=affine,
        spacing_mm=spacing_of(affine),
        source=grid,
        cautions=volume_header_cautions(header),
    )


def stored_to_hu(stored: np.ndarray, header: NiftiHeader, path: Path) -> np.ndarray:
    """Stored values (any shape but a single number) to HU, as :func:`rescale_to_hu`.

    Raises ``Refusal`` ``hu-not-finite``.
    """
    try:
        return rescale_to_hu(stored, header.slope, header.inter)
    except NotFinite:
        raise Refusal(
            "hu-not-finite",
            path,
            expected="a number in every voxel",
            found="NaN or infinite voxels",
            remedy="Find out what made them; fill them with air (-1000) if they are padding.",
        ) from None


def volume_header_cautions(header: NiftiHeader) -> tuple[Caution, ...]:
    """What is odd about a volume's header, but accepted."""
    return header.cautions + _affine_cautions(header.affine)


def read_nifti_labels(
    path: Path | str, scan: Scan, allowed: Collection[int] = (0, 1, 2)
) -> tuple[np.ndarray, tuple[Caution, ...]]:
    """The label map that belongs to a NIfTI volume, voxel by voxel.

    Args:
      path: .nii or .nii.gz of the same array shape as the volume's file. Its own affine is not
        used: LiTS 28-47 and 53 have identity affines in one file of the pair.
      scan: what :func:`read_nifti_volume` made of the volume.
      allowed: the integers that may occur, within 0 to 255.

    Returns:
      uint8 [slices, rows, columns] like ``scan.hu``, and cautions (``mask-other-affine``).

    Raises:
      Refusal: as :func:`liver_tf.ct.nifti_file.read_nifti`, and ``mask-shape``, ``mask-labels``.
    """
    path = Path(path)
    header, stored = read_nifti(path)
    refuse_other_shape(header, scan.source, path)
    labels = whole_labels(stored.transpose(2, 1, 0), header, path, allowed).transpose(2, 1, 0)
    return to_canonical(labels, scan.source), mask_header_cautions(header, scan.source)


def refuse_other_shape(mask: NiftiHeader, volume: SourceGrid, path: Path) -> None:
    """Raise ``Refusal`` ``mask-shape`` unless a mask has the shape of its volume."""
    if mask.shape != volume.shape:
        raise Refusal(
            "mask-shape",
            path,
            expected=f"a mask of the volume's shape, {_times(volume.shape)}",
            found=_times(mask.shape),
            remedy="Find the mask that was drawn on this volume.",
        )


def mask_header_cautions(mask: NiftiHeader, volume: SourceGrid) -> tuple[Caution, ...]:
    """What is odd about a mask's header beside that of its volume."""
    cautions = [caution for caution in mask.cautions if caution.code == "nifti-no-scale"]
    apart = np.abs(mask.affine - volume.affine)
    corner = np.append(np.array(mask.shape, np.float64), 1.0)
    if float((apart @ corner).max()) > AFFINE_TOLERANCE_MM:
        text = "the mask has another affine than its volume, on the same grid: the volume's is used"
        cautions.append(Caution("mask-other-affine", text))
    return tuple(cautions)


def whole_labels(
    stored: np.ndarray, header: NiftiHeader, path: Path, allowed: Collection[int]
) -> np.ndarray:
    """Stored values of a label map as uint8, slab by slab; nothing is clipped or rounded."""
    labels = np.empty(stored.shape, np.uint8)
    permitted = np.zeros(256, bool)
    permitted[list(allowed)] = True
    scaled = header.slope != 1 or header.inter != 0
    for index in range(len(stored)):
        slab = stored[index]
        if scaled:
            with np.errstate(all="ignore"):
                slab = slab.astype(np.float64) * header.slope + header.inter
        low, high = slab.min(), slab.max()
        # NaN fails the comparison, so it is refused here as well.
        if not (low >= 0 and high <= 255):
            raise _bad_labels(path, allowed, "a value below 0, above 255, or not a number")
        if slab.dtype.kind in "iu" and permitted[int(low) : int(high) + 1].all():
            labels[index] = slab
            continue
        with np.errstate(invalid="ignore"):
            whole = slab.astype(np.uint8)
        if slab.dtype.kind == "f" and not np.array_equal(whole, slab):
            raise _bad_labels(path, allowed, "a value that is not a whole number")
        if not permitted[whole].all():
            found = np.unique(whole)
            others = ", ".join(str(value) for value in found[~permitted[found]][:8])
            raise _bad_labels(path, allowed, f"also {others}")
        labels[index] = whole
    return labels


def labels_to_nifti(labels: np.ndarray, scan: Scan) -> nibabel.Nifti1Image:
    """A label map as a NIfTI image on the grid of the scan it was made for.

    For a NIfTI scan the array is the exact inverse of :func:`read_nifti_labels`, and the header
    places it as the volume's does: qform, sform, their codes and the unit. For DICOM it is
    [columns, rows, slices] with the affine of the slices, as coordinates of the scanner.

    Args:
      labels: uint8, uint16 or uint32 [slices, rows, columns], canonical, of the shape of
        ``scan.hu``; the file has the same dtype.

    Raises:
      ValueError: ``labels`` has another shape or dtype than it should.
      Refusal: ``no-geometry`` if the scan cannot be placed in mm.
    """
    if labels.shape != scan.hu.shape or labels.dtype not in (np.uint8, np.uint16, np.uint32):
        raise ValueError(
            f"labels: expected uint8, uint16 or uint32 of shape {scan.hu.shape}, got "
            f"{labels.dtype} {labels.shape}"
        )
    require_geometry(scan)
    stored = from_canonical(labels, scan.source)
    if scan.source.placement is not None:
        header = scan.source.placement.new_header()
        header.set_data_dtype(labels.dtype)
        kind = nibabel.Nifti2Image if scan.source.placement.second else nibabel.Nifti1Image
        return kind(np.asfortranarray(stored), scan.source.affine, header)
    affine = stored_affine(scan)[:, [2, 1, 0, 3]]
    image = nibabel.Nifti1Image(np.asfortranarray(stored.transpose(2, 1, 0)), affine)
    image.set_sform(affine, code="scanner")
    image.set_qform(affine, code="scanner")
    image.header.set_xyzt_units("mm")
    return image


def zeros_like_file(scan: Scan, dtype: np.dtype) -> np.ndarray:
    """Zeros [slices, rows, columns], canonical, to be filled and written without a copy.

    They lie in memory as :func:`labels_to_nifti` stores them.
    """
    order = "F" if scan.source.kind == "nifti" else "C"
    return to_canonical(np.zeros(scan.source.shape, dtype, order), scan.source)


def write_nifti_labels(path: Path | str, labels: np.ndarray, scan: Scan) -> None:
    """Write :func:`labels_to_nifti` to ``.nii`` or ``.nii.gz``; whole or not at all.

    The file is written under a temporary name beside its place, synced, and renamed.

    Raises:
      ValueError, Refusal: as :func:`labels_to_nifti`; ValueError for another suffix.
    """
    path = Path(path)
    suffix = next((end for end in (".nii.gz", ".nii") if path.name.endswith(end)), None)
    if suffix is None:
        raise ValueError("expected a file name that ends in .nii or .nii.gz")
    image = labels_to_nifti(labels, scan)
    temporary = path.with_name(f".writing-{uuid.uuid4().hex}{suffix}")
    try:
        nibabel.save(image, temporary)
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def grid_of(path: Path, header: NiftiHeader) -> SourceGrid:
    """How a volume's array lies to the canonical one."""
    axes, flips = canonical_axes(header.affine)
    return SourceGrid(
        "nifti", path, header.shape, axes, flips, header.affine, placement=header.placement
    )


def _affine_cautions(affine: np.ndarray) -> tuple[Caution, ...]:
    cautions = []
    if np.array_equal(affine, np.eye(4)):
        text = "the affine is the identity: orientation and spacing of the scan were probably lost"
        cautions.append(Caution("nifti-identity-affine", text))
    angle = oblique_degrees(affine)
    if angle > OBLIQUE_DEGREES:
        text = (
            f"the slices are oblique by {angle:.1f} degrees: they are taken as axial, not resampled"
        )
        cautions.append(Caution("nifti-oblique", text))
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    if np.abs(directions.T @ directions - np.eye(3)).max() > np.sin(np.radians(1.0)):
        text = "the axes of the voxels are not perpendicular (a tilted gantry?)"
        cautions.append(Caution("nifti-sheared", text))
    return tuple(cautions)


def _bad_labels(path: Path, allowed: Collection[int], found: str) -> Refusal:
    return Refusal(
        "mask-labels",
        path,
        expected=f"only the labels {', '.join(str(value) for value in sorted(allowed))}",
        found=found,
        remedy="Check the label set; labels are never clipped or rounded.",
    )


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(str(length) for length in shape)

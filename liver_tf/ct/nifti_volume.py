"""NIfTI volumes and label maps as canonical arrays."""

from collections.abc import Collection
from pathlib import Path

import numpy as np

from liver_tf.ct.bad_input import bad_input
from liver_tf.ct.hounsfield import NotFinite, rescale_to_hu
from liver_tf.ct.hu_plausibility import refuse_implausible_hu
from liver_tf.ct.itk_file import is_itk_file, read_itk
from liver_tf.ct.mask_placement import mask_grid
from liver_tf.ct.nifti_file import read_nifti
from liver_tf.ct.nifti_header import NiftiHeader
from liver_tf.ct.orientation import (
    OBLIQUE_DEGREES,
    canonical_affine,
    canonical_axes,
    oblique_degrees,
    spacing_of,
    to_canonical,
)
from liver_tf.ct.scan import Scan, SourceGrid
from liver_tf.refusals import Caution, Refusal


def read_nifti_volume(path: Path | str) -> Scan:
    """Read a CT volume (NIfTI, NRRD or MetaImage) in canonical orientation.

    ``hu`` is int16 if all values are whole HU and fit, else float32. It is a view of the voxels as
    read, so its strides may be negative. Peak memory is about twice the size of the int16 volume.

    Cautions: ``nifti-oblique``, ``nifti-sheared``, ``nifti-no-scale``, ``nifti-no-orientation``,
    ``nifti-identity-affine``, ``nifti-spacing-disagrees``, ``nifti-forms-disagree``.

    Raises:
      Refusal: as :class:`liver_tf.ct.nifti_file.NiftiFile` or
        :func:`liver_tf.ct.itk_file.read_itk`, and ``hu-…``.
    """
    path = Path(path)
    header, stored = read_itk(path) if is_itk_file(path) else read_nifti(path)
    hu = stored_to_hu(stored.transpose(2, 1, 0), header, path)
    grid = grid_of(path, header)
    hu = to_canonical(hu.transpose(2, 1, 0), grid)
    refuse_implausible_hu(hu, path)
    affine = canonical_affine(header.affine, grid)
    return Scan(
        hu=hu,
        affine=affine,
        spacing_mm=spacing_of(affine),
        source=grid,
        cautions=volume_header_cautions(header),
    )


def read_nifti_labels(
    path: Path | str, scan: Scan, allowed: Collection[int] = (0, 1, 2)
) -> tuple[np.ndarray, tuple[Caution, ...]]:
    """Read the label map of a NIfTI volume, voxel by voxel.

    Args:
      path: .nii or .nii.gz on the voxels of the volume (:mod:`liver_tf.ct.mask_placement`). LiTS
        28-47 and 53 have an identity affine in one file of the pair.
      scan: The volume, from :func:`read_nifti_volume`.
      allowed: Labels that may occur, within 0 to 255.

    Returns:
      uint8 [slices, rows, columns] like ``scan.hu``, and cautions (``mask-other-affine``,
      ``mask-reoriented``).

    Raises:
      Refusal: as :class:`liver_tf.ct.nifti_file.NiftiFile`, and ``mask-shape``,
        ``mask-geometry``, ``mask-labels``.
    """
    path = Path(path)
    header, stored = read_itk(path) if is_itk_file(path) else read_nifti(path)
    grid, cautions = mask_grid(header, scan.source, path)
    labels = whole_labels(stored.transpose(2, 1, 0), header, path, allowed).transpose(2, 1, 0)
    return to_canonical(labels, grid), mask_header_cautions(header) + cautions


def stored_to_hu(stored: np.ndarray, header: NiftiHeader, path: Path) -> np.ndarray:
    """Stored values (at least one axis) to HU, as :func:`liver_tf.ct.hounsfield.rescale_to_hu`."""
    try:
        return rescale_to_hu(stored, header.slope, header.inter)
    except NotFinite:
        expected = "a finite number in every voxel"
        raise bad_input("hu-not-finite", path, expected, "NaN or infinite voxels") from None


def whole_labels(
    stored: np.ndarray, header: NiftiHeader, path: Path, allowed: Collection[int]
) -> np.ndarray:
    """Stored values of a label map as uint8, slab by slab, without clipping or rounding."""
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
            values = np.unique(whole)
            others = ", ".join(str(value) for value in values[~permitted[values]][:8])
            raise _bad_labels(path, allowed, f"also {others}")
        labels[index] = whole
    return labels


def volume_header_cautions(header: NiftiHeader) -> tuple[Caution, ...]:
    """Irregularities of a volume's header that are accepted."""
    return header.cautions + _affine_cautions(header.affine)


def mask_header_cautions(mask: NiftiHeader) -> tuple[Caution, ...]:
    """Irregularities of a mask's header that are accepted."""
    return tuple(caution for caution in mask.cautions if caution.code == "nifti-no-scale")


def grid_of(path: Path, header: NiftiHeader) -> SourceGrid:
    """How the array of a volume maps to the canonical one."""
    axes, flips = canonical_axes(header.affine)
    return SourceGrid(
        "nifti", path, header.shape, axes, flips, header.affine, placement=header.placement
    )


def _affine_cautions(affine: np.ndarray) -> tuple[Caution, ...]:
    cautions = []
    if np.array_equal(affine, np.eye(4)):
        text = "the affine is the identity: orientation and spacing of the scan are probably lost"
        cautions.append(Caution("nifti-identity-affine", text))
    angle = oblique_degrees(affine)
    if angle > OBLIQUE_DEGREES:
        text = f"oblique slices ({angle:.1f} degrees) are used as axial ones, without resampling"
        cautions.append(Caution("nifti-oblique", text))
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    if np.abs(directions.T @ directions - np.eye(3)).max() > np.sin(np.radians(1.0)):
        text = "the axes of the voxels are not perpendicular (a tilted gantry?)"
        cautions.append(Caution("nifti-sheared", text))
    return tuple(cautions)


def _bad_labels(path: Path, allowed: Collection[int], found: str) -> Refusal:
    expected = f"only the labels {', '.join(str(value) for value in sorted(allowed))}"
    return bad_input("mask-labels", path, expected, found)

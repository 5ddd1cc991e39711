"""How a NIfTI mask lies on its volume: by its own affine, or by index if one affine is lost."""

from pathlib import Path

import numpy as np

from liver_tf.ct.bad_input import bad_input
from liver_tf.ct.nifti_header import NiftiHeader, NiftiPlacement
from liver_tf.ct.scan import SourceGrid
from liver_tf.refusals import Caution

#: Affines that place a voxel farther apart than this count as different, in mm.
AFFINE_TOLERANCE_MM = 0.01

#: A mask may lie this far from the voxels of its volume, as a share of a voxel: rounded affines.
_VOXEL_TOLERANCE = 0.1


def mask_grid(
    mask: NiftiHeader, volume: SourceGrid, path: Path
) -> tuple[SourceGrid, tuple[Caution, ...]]:
    """How the array of a mask maps to the canonical array of its volume.

    If the affines of mask and volume map their boxes onto each other by a permutation and reversal
    of axes, the mask is brought to the volume by it. If one of the two affines is lost (identity,
    or none), the mask is laid on by index.

    Args:
      mask: Header of the mask.
      volume: Of a NIfTI volume.
      path: Of the mask.

    Returns:
      Axes and flips of the mask's array, and the caution ``mask-reoriented`` or
      ``mask-other-affine``.

    Raises:
      Refusal: ``mask-shape``, ``mask-geometry``.
    """
    cautions: tuple[Caution, ...] = ()
    permuted = _permutation(mask, volume)
    if permuted is None:
        if mask.shape != volume.shape:
            expected = f"a mask of the volume's shape, {_times(volume.shape)}"
            raise bad_input("mask-shape", path, expected, _times(mask.shape))
        if not (_is_lost(mask.affine, mask.placement) or _is_lost(volume.affine, volume.placement)):
            expected = "a mask whose affine places it on the voxels of the volume"
            raise bad_input("mask-geometry", path, expected, "another position or spacing")
        permuted = (0, 1, 2), (False, False, False)
        text = "the affine of mask or volume is lost: the mask is applied voxel by voxel"
        cautions = (Caution("mask-other-affine", text),)
    elif permuted != ((0, 1, 2), (False, False, False)):
        text = "the mask is stored in another orientation: it is reoriented by its affine"
        cautions = (Caution("mask-reoriented", text),)
    elif _apart_mm(mask, volume) > AFFINE_TOLERANCE_MM:
        text = "the affines of mask and volume differ by less than a voxel: the volume's is used"
        cautions = (Caution("mask-other-affine", text),)
    axes_of_mask, reversed_axes = permuted
    first, second, third = (axes_of_mask[axis] for axis in volume.axes)
    flip_0, flip_1, flip_2 = (
        flip != reversed_axes[axis] for axis, flip in zip(volume.axes, volume.flips, strict=True)
    )
    grid = SourceGrid(
        "nifti",
        path,
        mask.shape,
        (first, second, third),
        (flip_0, flip_1, flip_2),
        mask.affine,
        placement=mask.placement,
    )
    return grid, cautions


def _permutation(
    mask: NiftiHeader, volume: SourceGrid
) -> tuple[tuple[int, ...], tuple[bool, ...]] | None:
    """For each axis of the volume, the axis of the mask and whether it is reversed; or None."""
    assert volume.affine is not None
    to_volume = np.linalg.inv(volume.affine) @ mask.affine
    signs = np.rint(to_volume[:3, :3])
    if not np.array_equal(np.abs(signs) @ np.ones(3), np.ones(3)):
        return None
    axes = tuple(int(axis) for axis in np.abs(signs).argmax(axis=1))
    flips = tuple(bool(signs[axis].sum() < 0) for axis in range(3))
    if len(set(axes)) < 3 or volume.shape != tuple(mask.shape[axis] for axis in axes):
        return None
    exact = np.eye(4)
    exact[:3, :3] = signs
    exact[:3, 3] = [
        length - 1 if flip else 0 for length, flip in zip(volume.shape, flips, strict=True)
    ]
    corners = np.append(np.array(mask.shape, np.float64) - 1, 1.0)
    apart = np.abs(to_volume - exact)[:3] @ corners
    return (axes, flips) if float(apart.max()) <= _VOXEL_TOLERANCE else None


def _apart_mm(mask: NiftiHeader, volume: SourceGrid) -> float:
    corner = np.append(np.array(mask.shape, np.float64), 1.0)
    return float((np.abs(mask.affine - volume.affine) @ corner).max())


def _is_lost(affine: np.ndarray | None, placement: NiftiPlacement | None) -> bool:
    """Whether a program wrote an affine without knowing it: none, or the identity.

    In ITK's axes the identity is diag(-1, -1, 1).
    """
    if placement is not None and not any(
        int(placement.fields[name]) > 0 for name in ("sform_code", "qform_code")
    ):
        return True
    return affine is None or np.array_equal(np.abs(affine), np.eye(4))


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(str(length) for length in shape)

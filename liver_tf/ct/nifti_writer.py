"""Writing label maps to NIfTI on the grid of the scan they belong to."""

import contextlib
import os
import uuid
from pathlib import Path
from typing import Any, Literal

import nibabel
import numpy as np

from liver_tf.ct.orientation import from_canonical, stored_affine, to_canonical
from liver_tf.ct.scan import Scan, require_geometry


def write_nifti_labels(path: Path | str, labels: np.ndarray, scan: Scan) -> None:
    """Write :func:`labels_to_nifti` to a ``.nii`` or ``.nii.gz`` file, atomically.

    Raises:
      ValueError: for another suffix.
    """
    _save(Path(path), labels_to_nifti(labels, scan))


def write_nifti_volume(path: Path | str, scan: Scan, description: str) -> None:
    """Write the HU of a scan to a file on its own grid, atomically.

    ``description`` goes into the header, at most 79 bytes. Raises as :func:`write_nifti_labels`.
    """
    image = _on_grid(scan.hu, scan)
    image.header["descrip"] = description.encode("ascii")
    _save(Path(path), image)


def _save(path: Path, image: Any) -> None:
    suffix = next((end for end in (".nii.gz", ".nii") if path.name.endswith(end)), None)
    if suffix is None:
        raise ValueError("expected a file name that ends in .nii or .nii.gz")
    # nibabel chooses the format by the suffix, so the temporary name needs it.
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


def labels_to_nifti(labels: np.ndarray, scan: Scan) -> Any:
    """A label map as a NIfTI image on the grid of its scan.

    For a NIfTI scan this is the exact inverse of
    :func:`liver_tf.ct.nifti_volume.read_nifti_labels`; qform, sform, their codes and the unit are
    those of the volume. For DICOM the array is [columns, rows, slices], with the affine of the
    slices as scanner coordinates.

    Args:
      labels: uint8, uint16 or uint32 [slices, rows, columns], canonical, of the shape of
        ``scan.hu``. The file has the same dtype.

    Returns:
      A ``nibabel.Nifti1Image`` or ``Nifti2Image``.

    Raises:
      ValueError: for another shape or dtype of ``labels``.
      Refusal: ``no-geometry`` if the scan cannot be placed in mm.
    """
    if labels.shape != scan.hu.shape or labels.dtype not in (np.uint8, np.uint16, np.uint32):
        raise ValueError(
            f"labels: expected uint8, uint16 or uint32 of shape {scan.hu.shape}, found "
            f"{labels.dtype} {labels.shape}"
        )
    return _on_grid(labels, scan)


def _on_grid(voxels: np.ndarray, scan: Scan) -> Any:
    require_geometry(scan)
    stored = from_canonical(voxels, scan.source)
    if scan.source.placement is not None:
        header = scan.source.placement.new_header()
        header.set_data_dtype(voxels.dtype)
        kind = nibabel.Nifti2Image if scan.source.placement.second else nibabel.Nifti1Image
        return kind(np.asfortranarray(stored), scan.source.affine, header)
    affine = stored_affine(scan)[:, [2, 1, 0, 3]]
    image = nibabel.Nifti1Image(np.asfortranarray(stored.transpose(2, 1, 0)), affine)
    image.set_sform(affine, code="scanner")
    image.set_qform(affine, code="scanner")
    image.header.set_xyzt_units("mm")
    return image


def zeros_like_file(scan: Scan, dtype: np.dtype[Any]) -> np.ndarray:
    """Zeros [slices, rows, columns], canonical, that :func:`labels_to_nifti` need not copy."""
    order: Literal["F", "C"] = "F" if scan.source.kind == "nifti" else "C"
    return to_canonical(np.zeros(scan.source.shape, dtype, order=order), scan.source)

"""Reading the mask of a scan from a PNG, NIfTI, NRRD, MetaImage or DICOM SEG file."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from liver_tf.ct.bad_input import bad_input
from liver_tf.ct.dicom_elements import has_dicom_prefix
from liver_tf.ct.dicom_seg import read_dicom_seg
from liver_tf.ct.file_format import format_of
from liver_tf.ct.input_file import read_start
from liver_tf.ct.itk_file import is_itk_file, read_itk
from liver_tf.ct.mask_placement import AFFINE_TOLERANCE_MM
from liver_tf.ct.nifti_file import read_nifti
from liver_tf.ct.nifti_header import HEADER_LENGTHS
from liver_tf.ct.nifti_volume import read_nifti_labels, whole_labels
from liver_tf.ct.orientation import canonical_affine, canonical_axes, to_canonical
from liver_tf.ct.png_mask import PNG_SIGNATURE, labels_of_values, read_png_mask
from liver_tf.ct.scan import Scan, SourceGrid, has_geometry
from liver_tf.ct.segment_labels import labels_from_segments

_GZIP_MAGIC = b"\x1f\x8b"


def read_mask(
    path: Path | str,
    scan: Scan,
    mapping: Mapping[int | str, int],
    *,
    palette_index: bool = False,
) -> np.ndarray:
    """Read the mask of a scan; the format is recognised by the content of the file.

    A PNG has the orientation of the stored DICOM pixels and fits a scan of a single slice. A NIfTI
    mask of a DICOM scan is placed by its own affine. In a DICOM SEG, lesions overwrite the liver.

    Args:
      path: The mask.
      scan: The scan on which it was drawn.
      mapping: Label (0 to 255) by value in the mask; for a DICOM SEG by segment number, label or
        code.
      palette_index: As of :func:`liver_tf.ct.png_mask.read_png_mask`.

    Returns:
      uint8 [slices, rows, columns], canonical, of the shape of ``scan.hu``.

    Raises:
      Refusal: ``mask-format`` for other formats, otherwise as the reader of the format.
    """
    path = Path(path)
    start = read_start(path, 4)
    values = {key: label for key, label in mapping.items() if isinstance(key, int)}
    if has_dicom_prefix(path):
        return labels_from_segments(
            read_dicom_seg(path, scan), mapping, path, lesions_over_liver=True
        )
    if start == PNG_SIGNATURE[:4]:
        slices, rows, columns = scan.source.shape
        if slices != 1 or scan.source.kind != "dicom-slice":
            expected = "a PNG mask only for a single DICOM slice"
            raise bad_input("mask-shape", path, expected, "a volume")
        stored = read_png_mask(path, (rows, columns), values, palette_index)
        return to_canonical(stored[np.newaxis], scan.source)
    lengths = {int.from_bytes(start, order) for order in ("little", "big")}
    if start[:2] == _GZIP_MAGIC or lengths & set(HEADER_LENGTHS) or is_itk_file(path):
        return _read_nifti_mask(path, scan, values)
    expected = "a mask as PNG, NIfTI, NRRD, MetaImage or DICOM SEG"
    raise bad_input("mask-format", path, expected, format_of(path) or "another format")


def _read_nifti_mask(path: Path, scan: Scan, mapping: Mapping[int, int]) -> np.ndarray:
    if scan.source.kind == "nifti":
        return labels_of_values(read_nifti_labels(path, scan, range(256))[0], mapping, path)
    header, stored = read_itk(path) if is_itk_file(path) else read_nifti(path)
    grid = SourceGrid("nifti", path, header.shape, *canonical_axes(header.affine), header.affine)
    values = whole_labels(stored.transpose(2, 1, 0), header, path, range(256))
    canonical = to_canonical(values.transpose(2, 1, 0), grid)
    if canonical.shape != scan.hu.shape:
        expected = "a mask of the shape of the scan, " + " x ".join(map(str, scan.hu.shape))
        actual = " x ".join(map(str, canonical.shape))
        raise bad_input("mask-shape", path, expected, actual)
    if has_geometry(scan):
        columns = slice(None) if canonical.shape[0] > 1 else slice(1, None)
        apart = np.abs(canonical_affine(header.affine, grid) - scan.affine)[:, columns]
        if float(apart.max()) > AFFINE_TOLERANCE_MM:
            expected = "a mask at the position of the scan"
            raise bad_input("mask-geometry", path, expected, "another position or spacing")
    allowed = {value: label for value, label in mapping.items() if 0 <= value <= 255}
    return labels_of_values(canonical, allowed, path)

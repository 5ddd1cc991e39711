"""Masks of single slices: PNG, NIfTI or DICOM SEG, each value mapped to a label on purpose."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from liver_tf.ct.dicom_file import has_dicom_prefix
from liver_tf.ct.dicom_seg import read_dicom_seg
from liver_tf.ct.input_file import read_start, require_file, unreadable
from liver_tf.ct.nifti import AFFINE_TOLERANCE_MM, read_nifti_labels, whole_labels
from liver_tf.ct.nifti_file import read_nifti
from liver_tf.ct.orientation import canonical_affine, canonical_axes, to_canonical
from liver_tf.ct.scan import Scan, SourceGrid, has_geometry
from liver_tf.ct.segment_labels import labels_from_segments
from liver_tf.refusals import Refusal

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GZIP_MAGIC = b"\x1f\x8b"
_LARGEST_PNG = 1 << 28
_GREY, _PALETTE = 0, 3


def read_mask(path: Path | str, scan: Scan, mapping: Mapping[int | str, int]) -> np.ndarray:
    """The mask of a scan from a PNG, NIfTI or DICOM SEG file; its bytes tell which.

    A PNG has the orientation of the stored DICOM pixels and serves a scan of one slice. A NIfTI
    mask of a DICOM scan is laid on it by its own affine. In a DICOM SEG the mapping may name
    segments by number, label or code; a lesion inside the liver segment wins over it.

    Args:
      path: the mask.
      scan: what it was drawn on.
      mapping: label (0 to 255) by value found in the mask.

    Returns:
      uint8 [slices, rows, columns], canonical, of the shape of ``scan.hu``.

    Raises:
      Refusal: ``mask-format`` if it is none of these, else as the reader of the format.
    """
    path = Path(path)
    start = read_start(path, 4)
    values = {key: label for key, label in mapping.items() if isinstance(key, int)}
    if has_dicom_prefix(path):
        return labels_from_segments(
            read_dicom_seg(path, scan), mapping, path, lesions_over_liver=True
        )
    if start == _PNG_SIGNATURE[:4]:
        if scan.source.shape[0] != 1 or scan.source.kind != "dicom-slice":
            raise _refused("mask-shape", path, "a PNG mask for a single DICOM slice", "a volume")
        stored = read_mask_image(path, scan.source.shape[1:], values)
        return to_canonical(stored[np.newaxis], scan.source)
    sizes = {int.from_bytes(start, order) for order in ("little", "big")}
    if start[:2] == _GZIP_MAGIC or sizes & {348, 540}:
        return _read_nifti_mask(path, scan, values)
    raise _refused("mask-format", path, "a mask as PNG, NIfTI or DICOM SEG", "another format")


def read_mask_image(
    path: Path | str, shape: tuple[int, int], mapping: Mapping[int, int]
) -> np.ndarray:
    """Labels of a PNG mask in the orientation of the file.

    Greyscale of 1, 2, 4 or 8 bits is taken by its sample values, a palette image by its indices.
    Every chunk's checksum is verified (Pillow skips those of the pixels).

    Args:
      path: the PNG.
      shape: (rows, columns) that it must have.
      mapping: label (0 to 255) by value; every value that occurs must be in it.

    Returns:
      uint8 [rows, columns].

    Raises:
      Refusal: ``mask-format``, ``mask-damaged``, ``mask-colour`` (colour, alpha or 16 bits),
        ``mask-shape``, ``mask-0-255`` (0 and 255 without a mapping), ``mask-unmapped``.
    """
    path = Path(path)
    data = _read_png_bytes(path)
    width, height, depth, colour = _check_chunks(data, path)
    if colour not in (_GREY, _PALETTE) or depth > 8:
        kind = "16 bits a pixel" if depth > 8 else "colour or transparency"
        raise _refused("mask-colour", path, "a mask of 1 to 8 bits in grey or by palette", kind)
    if (height, width) != tuple(shape):
        expected = f"a mask of the image's size, {shape[0]} x {shape[1]}"
        raise _refused("mask-shape", path, expected, f"{height} x {width}")
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            values = np.array(image).astype(np.uint8)
    except Exception:  # a decoder raises what it likes, and its text is of no use to the reader
        raise _damaged(path) from None
    if values.shape != tuple(shape):
        raise _damaged(path)
    if colour == _GREY and depth in (2, 4):
        # Pillow stretches samples of 2 and 4 bits to 0-255: back to the sample values.
        values //= 255 // (2**depth - 1)
    return _mapped(values, mapping, path)


def _mapped(values: np.ndarray, mapping: Mapping[int, int], path: Path) -> np.ndarray:
    """Labels for values 0 to 255 of any shape; refuses values that the mapping does not name."""
    found = np.unique(values)
    missing = [int(value) for value in found if int(value) not in mapping]
    if missing:
        binary = missing == [255] and set(found.tolist()) <= {0, 255}
        raise _refused(
            "mask-0-255" if binary else "mask-unmapped",
            path,
            f"only values that the mapping names: {', '.join(map(str, sorted(mapping)))}",
            "0 and 255" if binary else f"also {', '.join(map(str, missing[:8]))}",
            "Say what each value means in the mapping of mask values.",
        )
    table = np.zeros(256, np.uint8)
    for value, label in mapping.items():
        if 0 <= value <= 255:
            table[value] = label
    return table[values]


def _read_nifti_mask(path: Path, scan: Scan, mapping: Mapping[int, int]) -> np.ndarray:
    allowed = [value for value in mapping if 0 <= value <= 255]
    if scan.source.kind == "nifti":
        return _mapped(read_nifti_labels(path, scan, range(256))[0], mapping, path)
    header, stored = read_nifti(path)
    grid = SourceGrid("nifti", path, header.shape, *canonical_axes(header.affine), header.affine)
    values = whole_labels(stored.transpose(2, 1, 0), header, path, range(256))
    canonical = to_canonical(values.transpose(2, 1, 0), grid)
    if canonical.shape != scan.hu.shape:
        expected = "a mask of the scan's shape, " + " x ".join(map(str, scan.hu.shape))
        found = " x ".join(map(str, canonical.shape))
        raise _refused("mask-shape", path, expected, found)
    if has_geometry(scan):
        columns = slice(None) if canonical.shape[0] > 1 else slice(1, None)
        apart = np.abs(canonical_affine(header.affine, grid) - scan.affine)[:, columns]
        if float(apart.max()) > AFFINE_TOLERANCE_MM:
            raise _refused(
                "mask-geometry", path, "a mask that lies where the scan lies", "another place"
            )
    return _mapped(canonical, {value: mapping[value] for value in allowed}, path)


def _read_png_bytes(path: Path) -> bytes:
    try:
        if require_file(path).stat().st_size > _LARGEST_PNG:
            raise _refused("mask-format", path, "a PNG of less than 256 MiB", "a larger file")
        return path.read_bytes()
    except OSError:
        raise unreadable(path) from None


def _check_chunks(data: bytes, path: Path) -> tuple[int, int, int, int]:
    """(width, height, bit depth, colour type) of a PNG whose checksums all fit."""
    if not data.startswith(_PNG_SIGNATURE):
        raise _refused("mask-format", path, "a PNG file", "another format")
    header = b""
    for name, body in _chunks(data, path):
        header = header or (body if name == b"IHDR" and len(body) == 13 else b"")
        if name == b"acTL":
            raise _refused("mask-format", path, "a single image", "an animation")
        if name == b"IEND":
            break
    else:
        raise _damaged(path)
    if not header:
        raise _damaged(path)
    width, height = int.from_bytes(header[:4]), int.from_bytes(header[4:8])
    return width, height, header[8], header[9]


def _chunks(data: bytes, path: Path) -> Iterator[tuple[bytes, bytes]]:
    at = len(_PNG_SIGNATURE)
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4])
        name, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        checksum = data[at + 8 + length : at + 12 + length]
        if len(checksum) < 4 or zlib.crc32(name + body) != int.from_bytes(checksum):
            raise _damaged(path)
        at += 12 + length
        if name == b"IEND" and at < len(data):  # the rest of another file, as after a bad copy
            raise _damaged(path)
        yield name, body


def _damaged(path: Path) -> Refusal:
    return _refused(
        "mask-damaged",
        path,
        "a complete PNG whose checksums fit",
        "one that is cut off or damaged",
        "Copy the file again.",
    )


def _refused(
    code: str,
    path: Path,
    expected: str,
    found: str,
    remedy: str = "Export the mask again, as drawn on this very image.",
) -> Refusal:
    return Refusal(code, path, expected=expected, found=found, remedy=remedy)

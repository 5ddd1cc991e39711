"""PNG masks of single slices, every chunk checked, each value mapped to a label."""

import io
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from liver_tf.ct.bad_input import bad_input
from liver_tf.ct.input_file import require_file, unreadable
from liver_tf.refusals import Refusal

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LARGEST_PNG = 1 << 28
_GREY, _PALETTE = 0, 3


def read_png_mask(
    path: Path | str,
    shape: tuple[int, int],
    mapping: Mapping[int, int],
    palette_index: bool = False,
) -> np.ndarray:
    """Read the labels of a PNG mask in the orientation of the file.

    A greyscale image of 1, 2, 4 or 8 bits has its sample values, a palette image the greys that it
    shows: a program may write its palette in any order. The
    checksum of every chunk is verified (Pillow skips those of the pixels).

    Args:
      path: The PNG.
      shape: (rows, columns) that it must have.
      mapping: Label (0 to 255) by value; it must hold every value of the mask.
      palette_index: Whether the values of a palette image are its indices.

    Returns:
      uint8 [rows, columns].

    Raises:
      Refusal: ``mask-…`` of ``docs/bad_input.md``.
    """
    path = Path(path)
    data = _read_bytes(path)
    width, height, depth, colour = _check_chunks(data, path)
    if colour not in (_GREY, _PALETTE) or depth > 8:
        kind = "16 bits per pixel" if depth > 8 else "colour or transparency"
        raise bad_input("mask-colour", path, "a greyscale or palette mask of 1 to 8 bits", kind)
    if (height, width) != tuple(shape):
        expected = f"a mask of the size of the image, {shape[0]} x {shape[1]}"
        raise bad_input("mask-shape", path, expected, f"{height} x {width}")
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            values = np.array(image).astype(np.uint8)
            palette = image.getpalette("RGB") if image.mode == "P" else None
    except Exception:  # a decoder may raise anything on damaged data
        raise _damaged(path) from None
    if values.shape != tuple(shape):
        raise _damaged(path)
    if palette is not None and not palette_index:
        values = _shown_greys(values, np.array(palette, np.uint8).reshape(-1, 3), path)
    if colour == _GREY and depth in (2, 4):
        # Pillow stretches samples of 2 and 4 bits to 0-255: back to the sample values.
        values //= 255 // (2**depth - 1)
    return labels_of_values(values, mapping, path)


def _shown_greys(values: np.ndarray, palette: np.ndarray, path: Path) -> np.ndarray:
    """Grey of each pixel of a palette image; refuses colours, which have no number."""
    used = np.unique(values)
    if used.max() >= len(palette):
        raise _damaged(path)
    if (palette[used] != palette[used][:, :1]).any():
        expected = "a greyscale mask, or a palette of greys"
        raise bad_input("mask-palette", path, expected, "a palette of colours")
    greys: np.ndarray = palette[values, 0]
    return greys


def labels_of_values(values: np.ndarray, mapping: Mapping[int, int], path: Path) -> np.ndarray:
    """Map values 0 to 255 (any shape) to labels.

    Raises:
      Refusal: ``mask-0-255`` or ``mask-unmapped`` for values that are not in the mapping.
    """
    present = np.unique(values)
    missing = [int(value) for value in present if int(value) not in mapping]
    if missing:
        binary = missing == [255] and set(present.tolist()) <= {0, 255}
        expected = f"only the values in the mapping: {', '.join(map(str, sorted(mapping)))}"
        found = "0 and 255" if binary else f"also {', '.join(map(str, missing[:8]))}"
        raise bad_input("mask-0-255" if binary else "mask-unmapped", path, expected, found)
    table = np.zeros(256, np.uint8)
    for value, label in mapping.items():
        if 0 <= value <= 255:
            table[value] = label
    labels: np.ndarray = table[values]
    return labels


def _read_bytes(path: Path) -> bytes:
    try:
        if require_file(path).stat().st_size > _LARGEST_PNG:
            raise bad_input("mask-format", path, "a PNG of at most 256 MiB", "a larger file")
        return path.read_bytes()
    except OSError:
        raise unreadable(path) from None


def _check_chunks(data: bytes, path: Path) -> tuple[int, int, int, int]:
    """(width, height, bit depth, colour type) of a PNG whose checksums all match."""
    if not data.startswith(PNG_SIGNATURE):
        raise bad_input("mask-format", path, "a PNG file", "another format")
    header = b""
    for name, body in _chunks(data, path):
        header = header or (body if name == b"IHDR" and len(body) == 13 else b"")
        if name == b"acTL":
            raise bad_input("mask-format", path, "a single image", "an animation")
        if name == b"IEND":
            break
    else:
        raise _damaged(path)
    if not header:
        raise _damaged(path)
    width, height = int.from_bytes(header[:4]), int.from_bytes(header[4:8])
    return width, height, header[8], header[9]


def _chunks(data: bytes, path: Path) -> Iterator[tuple[bytes, bytes]]:
    at = len(PNG_SIGNATURE)
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4])
        name, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        checksum = data[at + 8 + length : at + 12 + length]
        if len(checksum) < 4 or zlib.crc32(name + body) != int.from_bytes(checksum):
            raise _damaged(path)
        at += 12 + length
        if name == b"IEND" and at < len(data):  # the rest of another file, after a bad copy
            raise _damaged(path)
        yield name, body


def _damaged(path: Path) -> Refusal:
    expected = "a complete PNG with matching checksums"
    return bad_input("mask-damaged", path, expected, "a truncated or damaged one")

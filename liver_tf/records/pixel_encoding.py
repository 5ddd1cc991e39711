"""How a record's pixels are stored: raw, deflated (zlib), or as PNG; always without loss."""

from __future__ import annotations

import io

import numpy as np
from isal import isal_zlib
from PIL import Image

RAW, ZLIB, PNG = "raw", "zlib", "png"
ENCODINGS = (RAW, ZLIB, PNG)
DEFAULT_ENCODING = ZLIB

#: Level 1 is the best trade of igzip between speed and size on windowed CT (docs/data_in.md).
_ZLIB_LEVEL = 1
_PNG_LEVEL = 1

#: PNG knows no sign: int16 is shifted by this to uint16.
PNG_OFFSET = 32768


def encoding_of(image: np.ndarray, wanted: str) -> str:
    """The encoding that an image can have: PNG holds whole numbers only, so floats are deflated."""
    return ZLIB if wanted == PNG and image.dtype.kind == "f" else wanted


def encode_pixels(pixels: np.ndarray, encoding: str) -> bytes | np.ndarray:
    """An int16, float32 or uint8 array [rows, columns] as stored; raw pixels are not copied."""
    pixels = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<"))
    if encoding == RAW:
        return pixels
    if encoding == ZLIB:
        return isal_zlib.compress(pixels, _ZLIB_LEVEL)
    if pixels.dtype != np.uint8:
        pixels = (pixels.astype(np.int32) + PNG_OFFSET).astype(np.uint16)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_level=_PNG_LEVEL)
    return stream.getvalue()


def decode_pixels(
    data: bytes | memoryview, encoding: str, dtype: np.dtype, size: tuple[int, int]
) -> np.ndarray:
    """The inverse of :func:`encode_pixels`; raises ``ValueError`` where sizes disagree."""
    if encoding == PNG:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            pixels = np.array(image)
        if dtype != np.uint8:
            pixels = (pixels.astype(np.int32) - PNG_OFFSET).astype(dtype)
        if pixels.shape != tuple(size):
            raise ValueError(f"cannot reshape a PNG of shape {pixels.shape} into {size}")
        return pixels
    if encoding == ZLIB:
        data = isal_zlib.decompress(data)
    elif encoding != RAW:
        raise ValueError(f"pixel encoding: expected one of {', '.join(ENCODINGS)}")
    return np.frombuffer(data, dtype.newbyteorder("<")).reshape(size)

"""Lossless encodings of the pixels in a record: raw, zlib, or PNG."""

import io
from typing import Any

import numpy as np
from isal import isal_zlib
from PIL import Image

RAW, ZLIB, PNG = "raw", "zlib", "png"
ENCODINGS = (RAW, ZLIB, PNG)
DEFAULT_ENCODING = ZLIB

#: Rows or columns of a slice; the readers of images have the same bound.
LARGEST_SIDE = 8192

#: igzip's best trade-off between speed and size on windowed CT (docs/data_in.md).
_ZLIB_LEVEL = 1
_PNG_LEVEL = 1

#: Offset from int16 to uint16, since PNG has no signed samples.
PNG_OFFSET = 32768


def encoding_of(image: np.ndarray, requested: str) -> str:
    """The encoding to use for an image: ``zlib`` instead of PNG for floats, else as requested."""
    return ZLIB if requested == PNG and image.dtype.kind == "f" else requested


def encode_pixels(pixels: np.ndarray, encoding: str) -> bytes | np.ndarray:
    """Encode an int16, float32 or uint8 array [rows, columns]; raw pixels are not copied."""
    pixels = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<"))
    if encoding == RAW:
        return pixels
    if encoding == ZLIB:
        compressed: bytes = isal_zlib.compress(pixels, _ZLIB_LEVEL)
        return compressed
    if pixels.dtype != np.uint8:
        pixels = (pixels.astype(np.int32) + PNG_OFFSET).astype(np.uint16)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_level=_PNG_LEVEL)
    return stream.getvalue()


def decode_pixels(
    data: bytes | memoryview, encoding: str, dtype: np.dtype[Any], size: tuple[int, int]
) -> np.ndarray:
    """The inverse of :func:`encode_pixels`; raises ``ValueError`` if the size differs."""
    if not (0 < size[0] <= LARGEST_SIDE and 0 < size[1] <= LARGEST_SIDE):
        raise ValueError(f"size: expected 1 to {LARGEST_SIDE} rows and columns, found {size}")
    if encoding == PNG:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            if image.size != (size[1], size[0]):
                raise ValueError(f"cannot reshape a PNG of size {image.size} into {size}")
            pixels = np.array(image)
        if dtype != np.uint8:
            pixels = (pixels.astype(np.int32) - PNG_OFFSET).astype(dtype)
        return pixels.reshape(size)
    if encoding == ZLIB:
        # No more than the pixels: a small record can hold any number of zeros.
        inflater = isal_zlib.decompressobj()
        data = inflater.decompress(data, size[0] * size[1] * dtype.itemsize + 1)
        if not inflater.eof:
            raise ValueError(f"pixels: more or fewer than {size}")
    elif encoding != RAW:
        raise ValueError(f"pixel encoding: expected one of {', '.join(ENCODINGS)}")
    return np.frombuffer(data, dtype.newbyteorder("<")).reshape(size)

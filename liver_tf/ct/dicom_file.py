"""Parsing a DICOM file without trusting it, and without repeating its contents.

pydicom fails in many ways on broken files, and its warnings and log lines quote element values,
which may be patient data. Everything here turns that into refusals that name the element only.
"""

from __future__ import annotations

import io
import logging
import math
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import FileDataset
from pydicom.encaps import generate_frames
from pydicom.pixels import get_decoder
from pydicom.uid import UID, RLELossless

from liver_tf.ct.decoder_process import decode_apart
from liver_tf.ct.input_file import read_start, unreadable
from liver_tf.ct.jpeg_header import coded_size
from liver_tf.refusals import Refusal

# pydicom quotes element values in its log lines: they must not reach the handlers of the program.
logging.getLogger("pydicom").propagate = False

MAX_SIDE = 8192


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Silence pydicom's warnings, which quote element values."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def has_dicom_prefix(path: Path) -> bool:
    """Whether a file carries ``DICM`` after the preamble of 128 bytes (DICOM PS3.10, 7.1)."""
    return read_start(path, 132)[128:] == b"DICM"


def read_dataset(
    path: Path, *, pixels: bool = True, only: Sequence[str] | None = None
) -> FileDataset:
    """The data set of a DICOM file (PS3.10), with or without its pixel data.

    Args:
      only: keywords of the elements that are wanted; by default all.

    Raises:
      Refusal: ``file-missing``, ``file-unreadable``, ``dicom-no-prefix``, ``dicom-unreadable``.
    """
    if not has_dicom_prefix(path):
        raise no_dicom_prefix(path)
    try:
        with quiet_pydicom(), _BoundedReader(io.FileIO(path)) as file:
            return pydicom.dcmread(file, stop_before_pixels=not pixels, specific_tags=only)
    except OSError:
        raise unreadable(path) from None
    except Exception:  # whatever a parser meets in a broken file, and its text may quote values
        raise broken_file(path) from None


def no_dicom_prefix(path: Path) -> Refusal:
    """Refusal for a file that should be DICOM and does not say so."""
    return Refusal(
        "dicom-no-prefix",
        path,
        expected="a DICOM file, with DICM after 128 bytes",
        found="a file without it",
        remedy="Export the image from the archive as a DICOM file (PS3.10).",
    )


class _BoundedReader(io.BufferedReader):
    """A file that never makes room for more than it holds, whatever length an element claims."""

    def __init__(self, raw: io.FileIO) -> None:
        super().__init__(raw)
        self._size = os.fstat(raw.fileno()).st_size

    def read(self, size: int | None = -1) -> bytes:
        return super().read(size if size is None else min(size, self._size))


def broken_file(path: Path) -> Refusal:
    """Refusal for a file whose elements cannot be parsed."""
    return Refusal(
        "dicom-unreadable",
        path,
        expected="a complete DICOM data set",
        found="one that is cut off or damaged",
        remedy="Copy the file again, or export it again from the archive.",
    )


def text(dataset: pydicom.Dataset, keyword: str, path: Path) -> str:
    """Value of a text element, stripped; empty if it is absent.

    Several values are joined by a backslash, as DICOM stores them.
    """
    value = _value(dataset, keyword, path)
    if value is None:
        return ""
    if isinstance(value, (list, tuple)) or type(value).__name__ == "MultiValue":
        return "\\".join(str(part) for part in value).strip()
    return str(value).strip()


def numbers(
    dataset: pydicom.Dataset, keyword: str, path: Path, count: int
) -> tuple[float, ...] | None:
    """The ``count`` finite numbers of an element; None if it is absent or empty.

    Raises:
      Refusal: ``dicom-number`` if the element holds anything else.
    """
    value = _value(dataset, keyword, path)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        values = (
            tuple(float(part) for part in value)
            if hasattr(value, "__len__") and not isinstance(value, (str, bytes))
            else (float(value),)
        )
    except (TypeError, ValueError):
        raise _bad_number(path, keyword, "something that is not a number") from None
    if not values:
        return None
    if len(values) != count:
        raise _bad_number(path, keyword, f"{len(values)}")
    if not all(math.isfinite(part) for part in values):
        raise _bad_number(path, keyword, "NaN or infinity")
    return values


def number(dataset: pydicom.Dataset, keyword: str, path: Path) -> float | None:
    """The one finite number of an element, else as :func:`numbers`."""
    values = numbers(dataset, keyword, path, 1)
    return None if values is None else values[0]


def whole_number(dataset: pydicom.Dataset, keyword: str, path: Path) -> int | None:
    """The one whole number of an element, else as :func:`numbers`."""
    value = number(dataset, keyword, path)
    if value is not None and value != int(value):
        raise _bad_number(path, keyword, "a number that is not whole")
    return None if value is None else int(value)


def sequence(dataset: pydicom.Dataset, keyword: str, path: Path) -> list[pydicom.Dataset]:
    """Items of a sequence; empty if it is absent."""
    value = _value(dataset, keyword, path)
    if value is None:
        return []
    if not isinstance(value, pydicom.Sequence):
        raise broken_file(path)
    return list(value)


def uid_name(uid: str) -> str:
    """Name of a UID that the DICOM standard defines (PS3.6), else an empty string."""
    with quiet_pydicom():
        known = UID(uid)
        return "" if known.name == uid else known.name


def decode_pixels(dataset: FileDataset, path: Path, frames: int) -> np.ndarray:
    """Stored pixel values [frames, rows, columns], without rescale, dtype of the decoder.

    Raises:
      Refusal: as :func:`check_pixels`, and ``dicom-pixels``.
    """
    check_pixels(dataset, path, frames)
    return np.stack([decode_frame(dataset, path, index) for index in range(frames)])


def decode_frame(dataset: FileDataset, path: Path, index: int) -> np.ndarray:
    """Stored values [rows, columns] of one frame, after :func:`check_pixels`.

    The other frames stay as they are stored: packed in bits, or compressed.

    Raises:
      Refusal: ``dicom-pixels``.
    """
    rows, columns = dataset.Rows, dataset.Columns
    with _undecodable(path):
        syntax = UID(dataset.file_meta.TransferSyntaxUID)
        if dataset.BitsAllocated == 1 and not syntax.is_encapsulated and syntax.is_little_endian:
            # Frames of single bits begin anywhere in a byte (PS3.5, 8.1.1), which pydicom's
            # reading of one frame does not see.
            first = index * rows * columns
            data = dataset.PixelData[first // 8 : (first + rows * columns + 7) // 8]
            bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
            return bits[first % 8 :][: rows * columns].reshape(rows, columns)
        if syntax.is_compressed and syntax != RLELossless:  # pydicom's own, in Python
            return decode_apart(path, index).reshape(rows, columns)
        values, _ = get_decoder(syntax).as_array(dataset, index=index, raw=True)
        return values.reshape(rows, columns)


def check_pixels(dataset: FileDataset, path: Path, frames: int) -> tuple[int, int]:
    """(rows, columns), if pixel data of the size that the header says are there to be decoded.

    Raises:
      Refusal: ``dicom-size``, ``dicom-no-pixels``, ``dicom-truncated``, ``dicom-no-decoder``.
    """
    rows = whole_number(dataset, "Rows", path) or 0
    columns = whole_number(dataset, "Columns", path) or 0
    if not (1 <= rows <= MAX_SIDE and 1 <= columns <= MAX_SIDE):
        raise Refusal(
            "dicom-size",
            path,
            expected=f"1 to {MAX_SIDE} rows and columns",
            found=f"{rows} x {columns}",
            remedy="Export the image again: its header is damaged.",
        )
    data = _value(dataset, "PixelData", path)
    if not isinstance(data, bytes) or not data:
        raise Refusal(
            "dicom-no-pixels",
            path,
            expected="pixel data",
            found="a data set without, or one that is cut off before them",
            remedy="Export the image again from the archive.",
        )
    try:
        with quiet_pydicom():
            syntax = UID(dataset.file_meta.TransferSyntaxUID)
        compressed = syntax.is_compressed
    except Exception:  # a missing or private transfer syntax
        raise broken_file(path) from None
    if compressed:
        _require_decoder(syntax, path)
        if syntax != RLELossless:  # which has no size of its own
            _refuse_other_size(data, path, (rows, columns), frames)
    else:
        bits = whole_number(dataset, "BitsAllocated", path) or 0
        needed = (frames * rows * columns * bits + 7) // 8
        if len(data) not in (needed, needed + needed % 2):
            raise Refusal(
                "dicom-truncated",
                path,
                expected=f"{needed} bytes of pixels for {frames} x {rows} x {columns}",
                found=f"{len(data)} bytes",
                remedy="Copy the file again, or export it again from the archive.",
            )
    return rows, columns


@contextmanager
def _undecodable(path: Path) -> Iterator[None]:
    """Whatever a decoder raises as a refusal: they raise what they like, and may quote values."""
    try:
        with quiet_pydicom():
            yield
    except Exception:
        raise _bad_pixels(path, "data that cannot") from None


def _refuse_other_size(data: bytes, path: Path, size: tuple[int, int], frames: int) -> None:
    """Refuse frames that would decode to another size: a decoder would make room for it."""
    try:
        with quiet_pydicom():
            sizes = [coded_size(frame) for frame in generate_frames(data, number_of_frames=frames)]
    except Exception:  # items that are cut off or nested wrongly
        sizes = []
    if len(sizes) != frames or None in sizes:
        raise _bad_pixels(path, "data that cannot")
    other = next((each for each in sizes if each != (*size, 1)), None)
    if other is not None:
        found = f"a compressed image of {other[0]} x {other[1]} with {other[2]} value(s) a pixel"
        raise _bad_pixels(path, found)


def _bad_pixels(path: Path, found: str) -> Refusal:
    return Refusal(
        "dicom-pixels",
        path,
        expected="pixel data that can be decoded to the rows, columns and frames of the header",
        found=found,
        remedy="Export the image again, uncompressed if possible.",
    )


def _require_decoder(syntax: UID, path: Path) -> None:
    try:
        available = get_decoder(syntax).is_available
    except NotImplementedError:
        available = False
    if not available:
        # A UID without a name in the standard could hold anything, so it is not repeated.
        name = uid_name(str(syntax)) or "a private transfer syntax"
        raise Refusal(
            "dicom-no-decoder",
            path,
            expected="uncompressed pixels, or a decoder for them",
            found=f"pixels compressed as {name}, and no decoder for it is installed",
            remedy="Install the extra: pip install 'liver_tf[codecs]'.",
        )


def _value(dataset: pydicom.Dataset, keyword: str, path: Path):
    try:
        with quiet_pydicom():
            return dataset.get(keyword)
    except Exception:  # pydicom converts on access, and quotes the value when that fails
        raise _bad_number(path, keyword, "a value that cannot be read") from None


def _bad_number(path: Path, keyword: str, found: str) -> Refusal:
    return Refusal(
        "dicom-number",
        path,
        expected=f"{keyword} as DICOM defines it",
        found=found,
        remedy="Export the image again, or repair this element.",
    )

"""Reading the elements of a DICOM file safely.

pydicom raises many kinds of errors on broken files, and its warnings and log lines quote element
values, which may be patient data. This module turns them into refusals that name the element only.
"""

import contextlib
import io
import logging
import math
import os
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import FileDataset
from pydicom.uid import UID

from liver_tf.counted import counted
from liver_tf.ct.bad_input import bad_input
from liver_tf.ct.file_format import format_of
from liver_tf.ct.input_file import read_start, unreadable
from liver_tf.refusals import Refusal

#: Of a deflated data set. Elements without values take 40 times their bytes in memory; a
#: segmentation of 600 frames of 512 x 512 fits.
LARGEST_INFLATED = 20 << 20

# pydicom quotes element values in its log lines: keep them from the handlers of the program.
logging.getLogger("pydicom").propagate = False


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Silence pydicom's warnings, which quote element values."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def has_dicom_prefix(path: Path) -> bool:
    """Whether a file has ``DICM`` after the preamble of 128 bytes (DICOM PS3.10, 7.1)."""
    return read_start(path, 132)[128:] == b"DICM"


def read_dataset(
    path: Path, *, pixels: bool = True, only: Sequence[str] | None = None
) -> FileDataset:
    """Read the data set of a DICOM file (PS3.10).

    Args:
      pixels: Whether to read the pixel data.
      only: Keywords of the elements to read; by default all.
    """
    if not has_dicom_prefix(path):
        raise no_dicom_prefix(path)
    try:
        with quiet_pydicom(), _BoundedReader(io.FileIO(path)) as file:
            tags = None if only is None else list(only)
            return pydicom.dcmread(file, stop_before_pixels=not pixels, specific_tags=tags)
    except OSError:
        raise unreadable(path) from None
    except Refusal:
        raise
    except Exception:  # a parser may raise anything on a broken file, with values in the text
        raise broken_file(path) from None


class _BoundedReader(io.BufferedReader):
    """A file reader that never allocates more than the file's size, whatever an element claims."""

    def __init__(self, raw: io.FileIO) -> None:
        super().__init__(raw)
        self._size = os.fstat(raw.fileno()).st_size

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size if size is None else min(size, self._size))
        if size is None or size < 0:  # pydicom inflates the rest of a deflated data set at once
            _refuse_large_inflation(data, Path(os.fsdecode(self.name)))
        return data


def _refuse_large_inflation(data: bytes, path: Path) -> None:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    size = 0
    with contextlib.suppress(zlib.error):  # reported by pydicom
        while data and size <= LARGEST_INFLATED:
            size += len(inflater.decompress(data, 1 << 20))
            data = inflater.unconsumed_tail
    if size > LARGEST_INFLATED:
        expected = f"at most {LARGEST_INFLATED >> 20} MiB of deflated elements"
        raise bad_input("file-expands", path, expected, "more")


def no_dicom_prefix(path: Path) -> Refusal:
    """The refusal ``dicom-no-prefix``."""
    expected = "a DICOM file, with DICM after 128 bytes"
    return bad_input("dicom-no-prefix", path, expected, format_of(path) or "a file without it")


def broken_file(path: Path) -> Refusal:
    """The refusal ``dicom-unreadable``, for a file whose elements cannot be parsed."""
    expected = "a complete DICOM data set"
    return bad_input("dicom-unreadable", path, expected, "a truncated or damaged one")


def text(dataset: pydicom.Dataset, keyword: str, path: Path) -> str:
    """Value of a text element, stripped; empty if it is absent.

    Several values are joined by a backslash, as DICOM stores them.
    """
    value = value_of(dataset, keyword, path)
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
    value = value_of(dataset, keyword, path)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    several = hasattr(value, "__len__") and not isinstance(value, (str, bytes))
    try:
        values = tuple(float(part) for part in (value if several else (value,)))
    except (TypeError, ValueError):
        raise _bad_number(path, keyword, "a value that is not a number") from None
    if not values:
        return None
    if len(values) != count:
        raise _bad_number(path, keyword, counted(len(values), "value"))
    if not all(math.isfinite(part) for part in values):
        raise _bad_number(path, keyword, "NaN or infinity")
    return values


def number(dataset: pydicom.Dataset, keyword: str, path: Path) -> float | None:
    """The single finite number of an element, otherwise as :func:`numbers`."""
    values = numbers(dataset, keyword, path, 1)
    return None if values is None else values[0]


def whole_number(dataset: pydicom.Dataset, keyword: str, path: Path) -> int | None:
    """The single whole number of an element, otherwise as :func:`numbers`."""
    value = number(dataset, keyword, path)
    if value is not None and value != int(value):
        raise _bad_number(path, keyword, "a number that is not whole")
    return None if value is None else int(value)


def sequence(dataset: pydicom.Dataset, keyword: str, path: Path) -> list[pydicom.Dataset]:
    """Items of a sequence; empty if it is absent."""
    value = value_of(dataset, keyword, path)
    if value is None:
        return []
    if not isinstance(value, pydicom.Sequence):
        raise broken_file(path)
    return list(value)


def uid_name(uid: str) -> str:
    """Name of a UID in the DICOM standard (PS3.6); empty for any other UID."""
    with quiet_pydicom():
        known = UID(uid)
        return "" if known.name == uid else known.name


def value_of(dataset: pydicom.Dataset, keyword: str, path: Path) -> Any:
    """Value of an element as pydicom converts it; None if it is absent.

    Raises:
      Refusal: ``dicom-number`` if it cannot be converted.
    """
    try:
        with quiet_pydicom():
            return dataset.get(keyword)
    except Exception:  # pydicom converts on access, and quotes the value when that fails
        raise _bad_number(path, keyword, "a value that cannot be read") from None


def _bad_number(path: Path, keyword: str, found: str) -> Refusal:
    return bad_input("dicom-number", path, f"a valid {keyword}", found)

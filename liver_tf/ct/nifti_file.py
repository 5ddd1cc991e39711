"""The voxels of a NIfTI file, read slab by slab, with the checksum verified at the end.

nibabel does not read a gzip stream to its end, where the CRC is stored, so the stream is read here.
"""

import contextlib
import gzip
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from isal import igzip, igzip_lib

from liver_tf.ct.bad_input import bad_input
from liver_tf.ct.input_file import refuse_expansion, require_file, unreadable
from liver_tf.ct.nifti_header import HEADER_LENGTHS, NiftiHeader, bad_header, check_header
from liver_tf.refusals import Refusal

_GZIP_MAGIC = b"\x1f\x8b"
_DAMAGED_GZIP: Any = (gzip.BadGzipFile, igzip_lib.IsalError)
#: Deflate cannot shrink below about 1:1032 (zlib's technical notes); a little more for framing.
_MAX_DEFLATE_RATIO = 1100
_CHUNK = 1 << 22


def read_nifti(path: Path | str) -> tuple[NiftiHeader, np.ndarray]:
    """Read the header and the stored values, [i, j, k] in Fortran order and native byte order."""
    with NiftiFile(path) as file:
        return file.header, file.read()


class NiftiFile:
    """An open NIfTI file with a checked header.

    Raises:
      Refusal: ``file-…`` and ``nifti-…`` of ``docs/bad_input.md``; some only while voxels are read.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = require_file(path)
        with contextlib.ExitStack() as opened, _reading_errors_as_refusals(self.path):
            raw: BinaryIO = opened.enter_context(open(self.path, "rb"))
            self._raw, self._state = raw, _state(raw)
            size = self.path.stat().st_size
            zipped = raw.read(2) == _GZIP_MAGIC
            _refuse_misnamed(self.path, zipped)
            raw.seek(0)
            self._raw = raw
            self._stream: Any = raw
            if zipped:
                # Several times as fast as the standard library; it also checks the CRC.
                self._stream = opened.enter_context(igzip.IGzipFile(fileobj=raw, mode="rb"))
                size *= _MAX_DEFLATE_RATIO
            self.header = self._read_header(size)
            self._opened = opened.pop_all()

    def __enter__(self) -> "NiftiFile":
        return self

    def __exit__(self, *exception: object) -> None:
        self._opened.close()

    def slabs(self) -> Iterator[np.ndarray]:
        """Yield the stored values of each k once, read-only [j, i] in native byte order.

        The end of the file and the gzip checksum are checked after the last slab: the slabs are
        valid only if the iteration ends without a refusal.
        """
        columns, rows, count = self.header.shape
        size = rows * columns * self.header.dtype.itemsize
        for _ in range(count):
            with _reading_errors_as_refusals(self.path):
                # Directly from the decompressor, without a copy.
                data = self._stream.read(size)
            if len(data) < size:
                raise _truncated(self.path)
            yield _native(np.frombuffer(data, self.header.dtype).reshape(rows, columns))
        self._refuse_more()

    def read(self, buffer: np.ndarray | None = None) -> np.ndarray:
        """Read all stored values, [i, j, k] in Fortran order.

        Args:
          buffer: Array to fill, of shape ``header.shape[::-1]`` and dtype ``header.dtype``.
        """
        if buffer is None:
            if self._stream is not self._raw:
                refuse_expansion(
                    self.path, math.prod(self.header.shape) * self.header.dtype.itemsize
                )
            buffer = np.empty(self.header.shape[::-1], self.header.dtype)
        view = memoryview(buffer.reshape(-1).view(np.uint8).data)
        done = 0
        with _reading_errors_as_refusals(self.path):
            while done < len(view):
                size = self._stream.readinto(view[done : done + _CHUNK])
                if not size:
                    raise EOFError
                done += size
        self._refuse_more()
        return _native(buffer).T

    def _read_header(self, most_bytes: int) -> NiftiHeader:
        """Check the header and go to the first voxel; the voxels have at most ``most_bytes``."""
        start = self._stream.read(4)
        lengths = {int.from_bytes(start, order) for order in ("little", "big")}
        length = next((each for each in HEADER_LENGTHS if each in lengths), None)
        if len(start) < 4 or length is None:
            raise bad_header(self.path, "a file that does not begin like a NIfTI header")
        block = start + self._stream.read(length - 4)
        if len(block) < length:
            raise bad_header(self.path, "a file that ends within its header")
        header = check_header(block, self.path)
        size = math.prod(header.shape) * header.dtype.itemsize
        if size + header.vox_offset > most_bytes:
            raise _truncated(self.path)
        self._skip(header.vox_offset - length)
        return header

    def _skip(self, count: int) -> None:
        while count > 0:
            size = len(self._stream.read(min(count, _CHUNK)))
            if not size:
                raise EOFError
            count -= size

    def _refuse_more(self) -> None:
        with _reading_errors_as_refusals(self.path):
            more = self._stream.read(1)
            changed = _state(self._raw) != self._state
        if changed:
            expected = "a file that does not change while it is read"
            raise bad_input("file-changed", self.path, expected, "a change of its size or time")
        if more:
            found = "more data than the dimensions in the header account for"
            raise bad_input("nifti-size", self.path, "a file that ends with its last voxel", found)


def _state(file: BinaryIO) -> tuple[int, int]:
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns


@contextlib.contextmanager
def _reading_errors_as_refusals(path: Path) -> Iterator[None]:
    try:
        yield
    except EOFError:
        raise _truncated(path) from None
    except _DAMAGED_GZIP:
        expected = "a gzip stream with a matching checksum"
        found = "a damaged stream or another checksum"
        raise bad_input("nifti-damaged", path, expected, found) from None
    except OSError:
        raise unreadable(path) from None


def _native(values: np.ndarray) -> np.ndarray:
    if values.dtype.isnative:
        return values
    in_place = values.flags.writeable
    return values.byteswap(inplace=in_place).view(values.dtype.newbyteorder())


def _refuse_misnamed(path: Path, zipped: bool) -> None:
    if zipped != path.name.lower().endswith(".gz"):
        expected = "a file name that ends in .gz if and only if the file is compressed with gzip"
        found = "a compressed file without .gz" if zipped else "a .gz that is not compressed"
        raise bad_input("nifti-misnamed", path, expected, found)


def _truncated(path: Path) -> Refusal:
    expected = "as many voxels as the header states"
    return bad_input("nifti-truncated", path, expected, "a truncated file")

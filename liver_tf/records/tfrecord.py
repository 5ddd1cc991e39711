"""TFRecord files, written and read without TensorFlow, each record between its checksums.

The format (``tensorflow/core/lib/io/record_writer.h``): length as uint64, masked CRC-32C of the
length, the data, masked CRC-32C of the data; all little-endian.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import google_crc32c
import numpy as np

#: Bytes around each record.
FRAMING_BYTES = 16

#: Bytes after which what was written is brought to the disk, so that little is left for the end.
_SYNC_BYTES = 1 << 22


class DamagedRecords(ValueError):
    """A file that is no sequence of whole records with fitting checksums."""


class RecordWriter:
    """Writes records to an open file; counts them, their bytes, and hashes what it wrote.

    Args:
      sync: called with the file's descriptor now and then, to bring it to the disk.
    """

    def __init__(self, file: BinaryIO, sync: Callable[[int], object] = os.fsync) -> None:
        self._file = file
        self._sync = sync
        self._digest = hashlib.sha256()
        self.records = 0
        self.bytes = 0
        self._synced = 0

    @property
    def sha256(self) -> str:
        """Hex SHA-256 of everything written so far."""
        return self._digest.hexdigest()

    def write(self, pieces: list[bytes | np.ndarray]) -> None:
        """Write one record, given as pieces (arrays: C-contiguous, flat or not)."""
        length, checksum = 0, 0
        for piece in pieces:
            length += piece.nbytes if isinstance(piece, np.ndarray) else len(piece)
            checksum = google_crc32c.extend(checksum, piece)
        head = struct.pack("<Q", length)
        head += struct.pack("<I", _masked(google_crc32c.value(head)))
        for piece in (head, *pieces, struct.pack("<I", _masked(checksum))):
            self._digest.update(piece)
            self._file.write(piece)
        self.records += 1
        self.bytes += length + FRAMING_BYTES
        if self.bytes - self._synced >= _SYNC_BYTES:
            self._synced = self.bytes
            self._file.flush()
            self._sync(self._file.fileno())


def read_records(path: Path) -> Iterator[bytes]:
    """The records of a file in order; raises ``DamagedRecords`` where a checksum does not fit."""
    with open(path, "rb") as file:
        left = path.stat().st_size
        while head := file.read(12):
            left -= len(head)
            if len(head) < 12 or _masked(google_crc32c.value(head[:8])) != _unsigned(head[8:]):
                raise DamagedRecords("a record's length is damaged or cut off")
            length = struct.unpack("<Q", head[:8])[0]
            if length + 4 > left:
                raise DamagedRecords("the last record is cut off")
            data, tail = file.read(length), file.read(4)
            left -= len(data) + len(tail)
            if len(tail) < 4 or _masked(google_crc32c.value(data)) != _unsigned(tail):
                raise DamagedRecords("a record's checksum does not fit")
            yield data


def record_offsets(path: Path) -> np.ndarray:
    """Where each record of a file begins: int64 [records], bytes from the file's start.

    Reads the lengths alone, so that data may be damaged; raises ``DamagedRecords`` where a length
    is damaged or leads beyond the file's end.
    """
    found, place = [], 0
    # Unbuffered: the next length lies beyond whatever would be read ahead.
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        while place < size:
            found.append(place)
            file.seek(place)
            head = file.read(12)
            if len(head) < 12 or _masked(google_crc32c.value(head[:8])) != _unsigned(head[8:]):
                raise DamagedRecords("a record's length is damaged or cut off")
            place += struct.unpack("<Q", head[:8])[0] + FRAMING_BYTES
    if place > size:
        raise DamagedRecords("the last record is cut off")
    return np.array(found, np.int64)


def _unsigned(four_bytes: bytes) -> int:
    return struct.unpack("<I", four_bytes)[0]


def _masked(checksum: int) -> int:
    """CRCs of data that hold CRCs are weak, so the format stores them turned and shifted."""
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF

"""TFRecord files, written and read without TensorFlow.

The format (``tensorflow/core/lib/io/record_writer.h``): length as uint64, masked CRC-32C of the
length, the data, masked CRC-32C of the data; all little-endian.
"""

import hashlib
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import google_crc32c
import numpy as np

#: Bytes of length and checksums per record.
FRAMING_BYTES = 16

#: Bytes after which a writer syncs the file, so that little is left to sync at the end.
_SYNC_BYTES = 1 << 22


class DamagedRecords(ValueError):
    """A file that is not a sequence of complete records with matching checksums."""


class RecordWriter:
    """Writes records to an open file, and keeps count, size and hash.

    Attributes:
      records: Number of records written.
      bytes: Number of bytes written.

    Args:
      file: Open for writing.
      sync: Called with the file's descriptor from time to time, to sync it.
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
        """Write a record, given as pieces; arrays must be C-contiguous."""
        length, checksum = 0, 0
        for piece in pieces:
            length += piece.nbytes if isinstance(piece, np.ndarray) else len(piece)
            checksum = google_crc32c.extend(checksum, piece)
        head = struct.pack("<Q", length)
        head += struct.pack("<I", _masked(google_crc32c.value(head)))
        for piece in (head, *pieces, struct.pack("<I", _masked(checksum))):
            data = piece.data if isinstance(piece, np.ndarray) else piece
            self._digest.update(data)
            self._file.write(data)
        self.records += 1
        self.bytes += length + FRAMING_BYTES
        if self.bytes - self._synced >= _SYNC_BYTES:
            self._synced = self.bytes
            self._file.flush()
            self._sync(self._file.fileno())


def read_records(path: Path) -> Iterator[bytes]:
    """Yield the records of a file; raises ``DamagedRecords`` at a wrong length or checksum."""
    with open(path, "rb") as file:
        left = path.stat().st_size
        while head := file.read(12):
            left -= len(head)
            if len(head) < 12 or _masked(google_crc32c.value(head[:8])) != _unsigned(head[8:]):
                raise DamagedRecords("a damaged or truncated record length")
            length = struct.unpack("<Q", head[:8])[0]
            if length + 4 > left:
                raise DamagedRecords("a truncated last record")
            data, tail = file.read(length), file.read(4)
            left -= len(data) + len(tail)
            if len(tail) < 4 or _masked(google_crc32c.value(data)) != _unsigned(tail):
                raise DamagedRecords("a record with another checksum")
            yield data


def record_offsets(path: Path) -> np.ndarray:
    """Start of each record in a file: int64 [records], in bytes.

    Only the lengths are read and checked; raises ``DamagedRecords`` if one is damaged or exceeds
    the file.
    """
    offsets, place = [], 0
    # Unbuffered: read-ahead would never reach the next length.
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        while place < size:
            offsets.append(place)
            file.seek(place)
            head = file.read(12)
            if len(head) < 12 or _masked(google_crc32c.value(head[:8])) != _unsigned(head[8:]):
                raise DamagedRecords("a damaged or truncated record length")
            place += struct.unpack("<Q", head[:8])[0] + FRAMING_BYTES
    if place > size:
        raise DamagedRecords("a truncated last record")
    return np.array(offsets, np.int64)


def _unsigned(four_bytes: bytes) -> int:
    return int.from_bytes(four_bytes, "little")


def _masked(checksum: int) -> int:
    """The format stores CRCs rotated and shifted, since CRCs of data with CRCs are weak."""
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF

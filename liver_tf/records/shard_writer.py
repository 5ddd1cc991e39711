"""Writing the records of a case to its shard, atomically."""

import os
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from liver_tf import atomic_files
from liver_tf.records.pixel_encoding import RAW
from liver_tf.records.record_schema import SliceRecord, encode
from liver_tf.records.tfrecord import RecordWriter

#: Records that may wait to be written while the next ones are prepared.
_AHEAD = 32


@dataclass(frozen=True)
class ShardInfo:
    """A shard: number of records, size in bytes, hex SHA-256."""

    records: int
    bytes: int
    sha256: str


def write_shard(path: Path, records: Iterable[SliceRecord], encoding: str = RAW) -> ShardInfo:
    """Write records to a TFRecord file that appears under its name when it is complete.

    Syncing runs in a thread. For raw records, which are large, hashing and writing run in it as
    well. So the arrays of a record must not change after the record has been yielded.
    """
    with (
        atomic_files.atomic_write(path) as temporary,
        open(temporary, "wb") as file,
        ThreadPoolExecutor(1) as thread,
    ):
        pending: deque[Future[None]] = deque()

        def sync(descriptor: int) -> None:
            pending.append(thread.submit(os.fsync, descriptor))

        writer = RecordWriter(file) if encoding == RAW else RecordWriter(file, sync)
        for record in records:
            pieces = encode(record, encoding)
            if encoding != RAW:  # so little to write that a thread would cost more
                writer.write(pieces)
                continue
            pending.append(thread.submit(writer.write, pieces))
            if len(pending) > _AHEAD:
                pending.popleft().result()
        for future in pending:
            future.result()
    return ShardInfo(writer.records, writer.bytes, writer.sha256)

"""Shards: writing the records of a case whole or not at all, and reading them back with care."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from liver_tf import atomic_files
from liver_tf.records.manifest import CaseEntry, Manifest
from liver_tf.records.pixel_encoding import RAW
from liver_tf.records.record_schema import SliceRecord, decode, encode
from liver_tf.records.tfrecord import RecordWriter, read_records
from liver_tf.refusals import Refusal


@dataclass(frozen=True)
class ShardInfo:
    """What was written: count of records, size in bytes, hex SHA-256."""

    records: int
    bytes: int
    sha256: str


#: Records that wait to be written while the next ones are made.
_AHEAD = 32


def write_shard(path: Path, records: Iterable[SliceRecord], encoding: str = RAW) -> ShardInfo:
    """Write records to a TFRecord file that appears under its name only when it is complete.

    A thread waits for the disk. Of raw records, which are large, it also hashes and writes, while
    the caller's generator makes the next ones. Arrays of records must not be changed after they
    were handed over.
    """
    with (
        atomic_files.atomic_write(path) as temporary,
        open(temporary, "wb") as file,
        ThreadPoolExecutor(1) as writing,
    ):
        waiting: deque[Future] = deque()

        def sync(descriptor: int) -> None:
            waiting.append(writing.submit(os.fsync, descriptor))

        writer = RecordWriter(file) if encoding == RAW else RecordWriter(file, sync)
        for record in records:
            pieces = encode(record, encoding)
            if encoding != RAW:  # little to write: handing it over would cost more
                writer.write(pieces)
                continue
            waiting.append(writing.submit(writer.write, pieces))
            if len(waiting) > _AHEAD:
                waiting.popleft().result()
        for future in waiting:
            future.result()
    return ShardInfo(writer.records, writer.bytes, writer.sha256)


def check_shards(folder: Path, manifest: Manifest, cases: Iterable[str] | None = None) -> None:
    """Hold every shard (or those of ``cases``) against the manifest.

    TensorFlow reads a shard that was cut at a record's border, or is empty, as a shorter data set
    without a word. Raises ``Refusal`` for a shard that is missing, or differs in size or SHA-256.
    """
    wanted = None if cases is None else set(cases)
    for entry in manifest.cases:
        if wanted is None or entry.case in wanted:
            _check_shard(folder / entry.shard, entry)


def _check_shard(path: Path, entry: CaseEntry) -> None:
    if not path.is_file():
        raise Refusal(
            "shard-missing",
            path,
            expected=f"the shard of case {entry.case}",
            found="no such file",
            remedy="Copy it again from where the data set was made, or convert again.",
        )
    size = path.stat().st_size
    if size != entry.bytes:
        raise Refusal(
            "shard-size",
            path,
            expected=f"{entry.bytes} bytes with {entry.records} records",
            found=f"{size} bytes",
            remedy="Copy it again from where the data set was made, or convert again.",
        )
    if atomic_files.sha256_of(path) != entry.sha256:
        raise Refusal(
            "shard-sha256",
            path,
            expected="the SHA-256 in the manifest",
            found="another",
            remedy="Copy it again from where the data set was made, or convert again.",
        )


def read_case(folder: Path, entry: CaseEntry) -> Iterator[SliceRecord]:
    """Records of one case in the order in which they were written (feet to head).

    Raises ``Refusal`` where the shard is damaged or its count differs from the manifest.
    """
    path = folder / entry.shard
    count = 0
    try:
        for serialised in read_records(path):
            yield decode(serialised)
            count += 1
    except (ValueError, OSError) as error:  # DamagedRecords is a ValueError
        found = str(error) if isinstance(error, ValueError) else "a file that cannot be read"
        raise Refusal(
            "shard-damaged",
            path,
            expected="whole records with fitting checksums",
            found=found,
            remedy="Copy it again from where the data set was made, or convert again.",
        ) from None
    if count != entry.records:
        raise Refusal(
            "shard-count",
            path,
            expected=f"{entry.records} records",
            found=f"{count}",
            remedy="Copy it again from where the data set was made, or convert again.",
        )

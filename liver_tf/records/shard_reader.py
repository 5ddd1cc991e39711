"""Reading shards, and checking them against the manifest."""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from liver_tf import atomic_files
from liver_tf.records.manifest import CaseEntry, Manifest, NeighbourShard
from liver_tf.records.record_schema import SliceRecord, decode
from liver_tf.records.tfrecord import FRAMING_BYTES, read_records, record_offsets
from liver_tf.refusals import Refusal

#: Bytes of a record whose pixels TensorFlow, which has no bound, inflates to at most 1 GiB.
_SAFE_RECORD = 2**20


def check_shards(folder: Path, manifest: Manifest, cases: Iterable[str] | None = None) -> None:
    """Check that every shard, or those of ``cases``, has the size and SHA-256 of the manifest.

    TensorFlow silently reads a shard that is truncated between two records as a shorter data set.
    Large records are decoded once, so that none inflates to more than its pixels.

    Raises:
      Refusal: ``shard-missing``, ``shard-size``, ``shard-sha256``, ``shard-damaged``.
    """
    chosen = None if cases is None else set(cases)
    for entry in manifest.cases:
        if chosen is None or entry.case in chosen:
            _check_shard(folder / entry.shard, entry.case, entry)


def read_case(folder: Path, entry: CaseEntry) -> Iterator[SliceRecord]:
    """Yield the records of a case in the order in which they were written (feet to head).

    Raises:
      Refusal: ``shard-damaged``, or ``shard-count`` if the manifest states another number.
    """
    return _read(folder / entry.shard, entry.records)


def read_neighbours(folder: Path, entry: CaseEntry) -> Iterator[SliceRecord]:
    """Yield the unlabelled records of a case, after checking their shard.

    Raises:
      Refusal: As ``read_case`` and ``check_shards``.
    """
    shard = entry.neighbours
    if shard is not None:
        _check_shard(folder / shard.shard, entry.case, shard)
        yield from _read(folder / shard.shard, shard.records)


def _read(path: Path, records: int) -> Iterator[SliceRecord]:
    count = 0
    with _damage_as_refusal(path):
        for serialised in read_records(path):
            yield decode(serialised)
            count += 1
    if count != records:
        raise _refused("shard-count", path, f"{records} records", f"{count}")


def _check_shard(path: Path, case: str, entry: CaseEntry | NeighbourShard) -> None:
    if not path.is_file():
        raise _refused("shard-missing", path, f"the shard of case {case}", "no such file")
    size = path.stat().st_size
    if size != entry.bytes:
        expected = f"{entry.bytes} bytes with {entry.records} records"
        raise _refused("shard-size", path, expected, f"{size} bytes")
    if atomic_files.sha256_of(path) != entry.sha256:
        raise _refused("shard-sha256", path, "the SHA-256 in the manifest", "another one")
    with _damage_as_refusal(path):
        sizes = np.diff([*record_offsets(path), size]) - FRAMING_BYTES
        if max(sizes, default=0) > _SAFE_RECORD:
            for serialised in read_records(path):
                if len(serialised) > _SAFE_RECORD:
                    decode(serialised)


@contextlib.contextmanager
def _damage_as_refusal(path: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, OSError) as error:  # DamagedRecords is a ValueError
        found = str(error) if isinstance(error, ValueError) else "a file that cannot be read"
        raise _refused(
            "shard-damaged", path, "complete records with matching CRCs", found
        ) from None


def _refused(code: str, path: Path, expected: str, found: str) -> Refusal:
    remedy = "Copy the shard again from the original data set, or convert the data again."
    return Refusal(code, path, expected=expected, found=found, remedy=remedy)

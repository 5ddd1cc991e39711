"""The shard of a case in a record set that is made from another one."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from liver_tf.disk_full import write_errors_as_refusals
from liver_tf.records import case_statistics
from liver_tf.records.manifest import CaseEntry, Manifest
from liver_tf.records.record_schema import SliceRecord
from liver_tf.records.shard_writer import write_shard
from liver_tf.records.slice_hash import slice_index


def write_derived_shard(
    folder: Path, entry: CaseEntry, records: Sequence[SliceRecord], manifest: Manifest
) -> CaseEntry:
    """Write a case's records to ``folder``; returns its entry with their statistics.

    The entry keeps the hashes of whole slices, of those slices that have a record: the leakage
    guard compares patients, not crops.

    Args:
      entry: Of the case in the set from which the records were made.
      manifest: Gives encoding and label set.

    Raises:
      Refusal: The folder cannot be written to, or the disk is full.
    """
    classes = len(manifest.label_set)
    statistics = [case_statistics.of_slice(r.image, r.labels, classes) for r in records]
    kept = {record.slice_index for record in records}
    with write_errors_as_refusals(folder):
        info = write_shard(folder / entry.shard, records, manifest.encoding)
    return replace(
        entry,
        records=info.records,
        bytes=info.bytes,
        sha256=info.sha256,
        statistics=case_statistics.total(statistics),
        hashes=tuple(text for text in entry.all_hashes if slice_index(text) in kept),
    )

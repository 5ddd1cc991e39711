"""Unlabelled neighbours for tiny record sets: the annotated slices, moved, with known labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from liver_tf.records.manifest import Manifest, NeighbourShard, load_manifest
from liver_tf.records.record_schema import SliceRecord
from liver_tf.records.shard_reader import read_case
from liver_tf.records.shard_writer import write_shard
from liver_tf.records.slice_hash import hash_slice
from tests.builders.tiny_records import write_case


def moved(record: SliceRecord, index: int, rows: int) -> SliceRecord:
    """The slice moved by some rows, with its true labels, as a neighbour 2 mm a row away."""
    return replace(
        record,
        image=np.roll(record.image, rows, axis=0),
        labels=np.roll(record.labels, rows, axis=0),
        slice_index=index,
        neighbour_of=record.slice_index,
        offset_mm=2.0 * rows,
    )


def add_neighbours(folder: Path, truth: Path) -> Manifest:
    """Add two neighbours to each slice of a record set; write their true labels to ``truth``.

    The labelled shards, and hence the fingerprint, do not change.
    """
    manifest = load_manifest(folder)
    truth.mkdir(parents=True)
    entries, true_entries = [], []
    for entry in manifest.cases:
        records = list(read_case(folder, entry))
        places = [(record, rows) for record in records for rows in (1, -1)]
        near = [moved(r, index, rows) for index, (r, rows) in enumerate(places, len(records))]
        shard = folder / f"{entry.case}.neighbours.tfrecord"
        hidden = [replace(r, labels=np.zeros_like(r.labels), diagnosis="") for r in near]
        info = write_shard(shard, hidden, manifest.encoding)
        hashes = tuple(hash_slice(r.image, r.slice_index) for r in hidden)
        neighbours = NeighbourShard(shard.name, info.records, info.bytes, info.sha256, hashes)
        entries.append(replace(entry, neighbours=neighbours))
        true_records = [replace(r, neighbour_of=None) for r in near]
        true_entries.append(write_case(truth, true_records, manifest.label_set))
    replace(manifest, cases=tuple(true_entries)).save(truth)
    extended = replace(manifest, cases=tuple(entries))
    extended.save(folder)
    return extended

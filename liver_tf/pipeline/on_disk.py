"""Slices left in their shards, to be read one by one in any order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from liver_tf.pipeline.memory import OtherCount
from liver_tf.pipeline.slices import SHARDS_AT_ONCE, Slices, viewer
from liver_tf.records.tfrecord import record_offsets


class OnDisk:
    """All slices of a part of the data, to be taken by place inside of ``tf.data``.

    Holds where each record begins and nothing of what is in it. As any slice can be read at any
    time, their order needs no buffer to be mixed in: it is whatever is asked for.
    """

    def __init__(self, slices: Slices) -> None:
        """Look up where the records begin.

        Raises ``OtherCount`` where a shard does not hold as many as the manifest says, and
        ``tfrecord.DamagedRecords``.
        """
        entries = slices.entries
        paths = [slices.folder / entry.shard for entry in entries]
        # On a network's file system each look costs its way there and back.
        with ThreadPoolExecutor(SHARDS_AT_ONCE) as pool:
            offsets = list(pool.map(record_offsets, paths))
        for entry, found in zip(entries, offsets, strict=True):
            if len(found) != entry.records:
                raise OtherCount(f"expected {entry.records} records, got {len(found)}")
        shards = np.repeat(np.arange(len(paths)), [len(found) for found in offsets])
        with tf.device("CPU:0"):
            self._paths = tf.constant([str(path) for path in paths])
            self._shards = tf.constant(shards)
            self._offsets = tf.constant(np.concatenate(offsets))
        self._view = viewer(slices)

    def take(self, place: tf.Tensor) -> dict[str, tf.Tensor]:
        """``image``, ``labels`` and ``example`` of the slice at this place, an integer scalar.

        Its checksum is held against its bytes: damage fails with ``DataLossError``.
        """
        # tf.data.TFRecordDataset begins at a file's start; what it is made of can begin anywhere.
        records = tf.raw_ops.TFRecordDatasetV2(
            filenames=self._paths[self._shards[place]][None],
            compression_type="",
            buffer_size=0,
            byte_offsets=self._offsets[place][None],
        )
        records = tf.data.experimental.from_variant(records, tf.TensorSpec([], tf.string))
        return self._view(records.take(1).get_single_element())

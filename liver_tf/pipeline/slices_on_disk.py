"""Slices read from their shards one by one, in any order."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from liver_tf.pipeline.slices import SHARDS_AT_ONCE, Slices, viewer
from liver_tf.pipeline.slices_in_memory import WrongCount
from liver_tf.records.tfrecord import record_offsets


class SlicesOnDisk:
    """Random access to all slices of a part of the data inside ``tf.data``.

    Only the record offsets are held in memory, and shuffling needs no buffer.
    """

    def __init__(self, slices: Slices) -> None:
        """Find the offsets of the records.

        Raises:
          WrongCount: A shard does not have as many records as the manifest states.
          DamagedRecords: As ``tfrecord.record_offsets``.
        """
        entries = slices.entries
        paths = [slices.folder / entry.shard for entry in entries]
        # In parallel: on a network file system each look-up is a round trip.
        with ThreadPoolExecutor(SHARDS_AT_ONCE) as pool:
            offsets = list(pool.map(record_offsets, paths))
        for entry, actual in zip(entries, offsets, strict=True):
            if len(actual) != entry.records:
                raise WrongCount(f"expected {entry.records} records, got {len(actual)}")
        shards = np.repeat(np.arange(len(paths)), [len(of_shard) for of_shard in offsets])
        with tf.device("CPU:0"):
            self._paths = tf.constant([str(path) for path in paths])
            self._shards = tf.constant(shards)
            self._offsets = tf.constant(np.concatenate(offsets))
        self._view = viewer(slices)

    def take(self, place: tf.Tensor) -> dict[str, tf.Tensor]:
        """``image``, ``labels`` and ``example`` of the slice at this place, an integer scalar.

        TensorFlow verifies the record's checksum: damage raises ``DataLossError``.
        """
        # tf.data.TFRecordDataset starts at the beginning of a file; its raw op at any offset.
        records = tf.raw_ops.TFRecordDatasetV2(
            filenames=self._paths[self._shards[place]][None],
            compression_type="",
            buffer_size=0,
            byte_offsets=self._offsets[place][None],
        )
        records = tf.data.experimental.from_variant(records, tf.TensorSpec([], tf.string))
        return self._view(records.take(1).get_single_element())

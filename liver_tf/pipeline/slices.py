"""Slices of a record set on the network's grid, as they lie in their shards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from liver_tf.pipeline import resample
from liver_tf.pipeline.sampling import kinds_of
from liver_tf.records.graph_decoder import record_parser
from liver_tf.records.manifest import CaseEntry, Manifest

#: Shards read at a time.
SHARDS_AT_ONCE = 8


@dataclass(frozen=True)
class Slices:
    """Which slices of which cases, and at what size.

    Attributes:
      folder, manifest: the record set. cases: pseudonyms; their order does not matter.
      image_size: side of the network's input in pixels.
      label_map: new label of each label of the record set (``(0, 1, 1)``: liver and lesion are
        one class).
    """

    folder: Path
    manifest: Manifest
    cases: tuple[str, ...]
    image_size: int
    label_map: tuple[int, ...]

    @property
    def entries(self) -> list[CaseEntry]:
        """The cases in the order in which their slices are counted."""
        wanted = set(self.cases)
        return sorted(
            (entry for entry in self.manifest.cases if entry.case in wanted),
            key=lambda entry: entry.case,
        )

    @property
    def count(self) -> int:
        return sum(entry.records for entry in self.entries)

    @property
    def bytes_each(self) -> int:
        """Of a slice at the network's size: HU as float32, labels as uint8."""
        return self.image_size**2 * 5


def network_view(
    image: tf.Tensor, labels: tf.Tensor, air_hu: float, size: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """A record's slice on the network's grid: float32 HU and uint8 labels, both [size, size]."""
    box = resample.whole_slice_box(tf.shape(image)[0], tf.shape(image)[1])
    taken = resample.take_region((image - air_hu)[None], box[None], size)[0] + air_hu
    return taken, resample.take_labels(labels, box, size)


def viewer(slices: Slices) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """A function of a serialised record: ``image``, ``labels`` and ``example`` of its slice.

    ``image`` float32 HU and ``labels`` uint8, both at the network's size.
    """
    lookup = tf.constant(slices.label_map, tf.uint8)
    air = float(slices.manifest.window[0])
    parse = record_parser(slices.manifest.encoding)
    side = [slices.image_size] * 2

    def view(serialised: tf.Tensor) -> dict[str, tf.Tensor]:
        record = parse(serialised)
        image, labels = network_view(record["image"], record["labels"], air, slices.image_size)
        labels = tf.gather(lookup, tf.cast(labels, tf.int32))
        return {
            "image": tf.ensure_shape(image, side),
            "labels": tf.ensure_shape(labels, side),
            "example": record["example"],
        }

    return view


def stream(slices: Slices) -> tf.data.Dataset:
    """All slices once, shards interleaved: what ``viewer`` gives, and ``place``.

    A slice's place is its number when the records of ``slices.entries`` are counted through.
    """
    view = viewer(slices)
    return _serialised(slices).map(
        lambda place, serialised: view(serialised) | {"place": place},
        tf.data.AUTOTUNE,
        deterministic=True,
    )


def look_over(slices: Slices) -> tuple[np.ndarray, np.ndarray]:
    """Number and kind of every slice, without looking at its image; int64 [slices] each.

    Both by place; kinds as in :func:`liver_tf.pipeline.sampling.kinds_of`, by the record set's own
    labels.
    """
    parse = record_parser(slices.manifest.encoding)
    classes = len(slices.manifest.label_set)

    def look(place: tf.Tensor, serialised: tf.Tensor):
        record = parse(serialised)
        return place, record["example"], _held(record["labels"], classes)

    dataset = _serialised(slices).map(look, tf.data.AUTOTUNE, deterministic=False).batch(1024)
    examples = np.zeros(slices.count, np.int64)
    holds = np.zeros((slices.count, classes), bool)
    for place, example, held in dataset.as_numpy_iterator():
        examples[place], holds[place] = example, held
    return examples, kinds_of(holds)


def read_shards(paths: Sequence[str], firsts: Sequence[int]) -> tf.data.Dataset:
    """All records of some shards, several shards at a time: (number, serialised record).

    Records of a shard are numbered from its ``firsts`` on.
    """
    # Unbuffered: a record is large, and its bytes would only be copied once more.
    return tf.data.Dataset.from_tensor_slices(
        (tf.constant(paths), tf.constant(firsts, tf.int64))
    ).interleave(
        lambda path, first: tf.data.TFRecordDataset(path, buffer_size=0).enumerate(first),
        cycle_length=SHARDS_AT_ONCE,
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )


def _serialised(slices: Slices) -> tf.data.Dataset:
    """(place, serialised record)."""
    entries = slices.entries
    counts = [entry.records for entry in entries]
    return read_shards(
        [str(slices.folder / entry.shard) for entry in entries], np.cumsum([0, *counts])[:-1]
    )


def _held(labels: tf.Tensor, classes: int) -> tf.Tensor:
    """bool [classes]: whether there are pixels of each label."""
    pixels = tf.math.bincount(
        tf.cast(tf.reshape(labels, [-1]), tf.int32), minlength=classes, maxlength=classes
    )
    return pixels > 0

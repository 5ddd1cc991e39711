"""Slices of a record set on the network's grid, in the order of their shards."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tensorflow as tf

from liver_tf.phantom.tissue_codes import labels_of_codes
from liver_tf.pipeline import resample
from liver_tf.pipeline.augmentation.drawing import FINER
from liver_tf.pipeline.sampling import kinds_of
from liver_tf.records.graph_decoder import record_parser
from liver_tf.records.manifest import HAS_TISSUES, CaseEntry, Manifest
from liver_tf.refusals import Refusal

#: Shards read at a time.
SHARDS_AT_ONCE = 8


@dataclass(frozen=True)
class Slices:
    """The slices of some cases, and their size.

    Attributes:
      folder, manifest: The record set.
      cases: Pseudonyms; their order does not matter.
      image_size: Side of the network's input in pixels.
      label_map: New label of each label of the record set (``(0, 1, 1)``: liver and lesion become
        one class).
      tissues: Read the tissue maps as well; every record must have one.
    """

    folder: Path
    manifest: Manifest
    cases: tuple[str, ...]
    image_size: int
    label_map: tuple[int, ...]
    tissues: bool = False

    @property
    def entries(self) -> list[CaseEntry]:
        """The cases in the order in which their slices are numbered."""
        chosen = set(self.cases)
        return sorted(
            (entry for entry in self.manifest.cases if entry.case in chosen),
            key=lambda entry: entry.case,
        )

    @property
    def count(self) -> int:
        return sum(entry.records for entry in self.entries)

    @property
    def bytes_each(self) -> int:
        """Bytes of a slice at the network's size: HU as float32, labels and tissues as uint8."""
        return self.image_size**2 * (5 + (FINER**2 if self.tissues else 0))

    @property
    def code_labels(self) -> np.ndarray:
        """uint8 [CODES]: new label of each tissue code; background for lesions not in the set."""
        labels = labels_of_codes()
        known = np.where(labels < len(self.label_map), labels, 0)
        return np.array(self.label_map, np.uint8)[known]

    def with_tissues(self) -> "Slices":
        """The same slices with ``tissues``; raises ``Refusal`` if a case has no tissue maps."""
        lacking = sum(HAS_TISSUES not in entry.details for entry in self.entries)
        if lacking:
            raise Refusal(
                "no-tissue-maps",
                self.folder,
                expected="tissue maps in all training cases, because --drawn is above 0",
                found=f"{lacking} of {len(self.entries)} cases without",
                remedy="Make phantoms with --tissues and convert them, or set --drawn=0.",
            )
        return replace(self, tissues=True)


def network_view(
    image: tf.Tensor, labels: tf.Tensor, air_hu: float, size: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """A record's slice on the network's grid: float32 HU and uint8 labels, both [size, size]."""
    box = resample.whole_slice_box(tf.shape(image)[0], tf.shape(image)[1])
    taken = resample.take_region((image - air_hu)[None], box[None], size)[0] + air_hu
    return taken, resample.take_labels(labels, box, size)


def viewer(slices: Slices) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Make a function that decodes a serialised record at the network's size.

    It returns ``image`` (float32 HU), ``labels`` (uint8) and ``example`` (int64); with
    ``slices.tissues`` also ``tissues`` (uint8), ``FINER`` times as many pixels along a side.
    """
    lookup = tf.constant(slices.label_map, tf.uint8)
    air = float(slices.manifest.window[0])
    parse = record_parser(slices.manifest.encoding, slices.tissues)
    side = [slices.image_size] * 2
    finer = FINER * slices.image_size

    def view(serialised: tf.Tensor) -> dict[str, tf.Tensor]:
        record = parse(serialised)
        image, labels = network_view(record["image"], record["labels"], air, slices.image_size)
        labels = tf.gather(lookup, tf.cast(labels, tf.int32))
        maps = {}
        if slices.tissues:
            box = resample.whole_slice_box(*tf.unstack(tf.shape(record["tissues"])))
            codes = resample.take_labels(record["tissues"], box, finer)
            maps["tissues"] = tf.ensure_shape(codes, [finer, finer])
        return maps | {
            "image": tf.ensure_shape(image, side),
            "labels": tf.ensure_shape(labels, side),
            "example": record["example"],
        }

    return view


def stream(slices: Slices) -> tf.data.Dataset:
    """All slices once, shards interleaved: the entries of ``viewer``, and ``place``.

    The place of a slice is its index in the records of ``slices.entries``.
    """
    view = viewer(slices)
    return _serialised(slices).map(
        lambda place, serialised: view(serialised) | {"place": place},
        tf.data.AUTOTUNE,
        deterministic=True,
    )


def scan_kinds(slices: Slices) -> tuple[np.ndarray, np.ndarray]:
    """Example number and kind of every slice, by place: two int64 [slices].

    Kinds are those of ``sampling.kinds_of``, by the labels of the record set.
    """
    parse = record_parser(slices.manifest.encoding)
    classes = len(slices.manifest.label_set)

    def labels_in(place: tf.Tensor, serialised: tf.Tensor):
        record = parse(serialised)
        return place, record["example"], _present(record["labels"], classes)

    dataset = _serialised(slices).map(labels_in, tf.data.AUTOTUNE, deterministic=False).batch(1024)
    examples = np.zeros(slices.count, np.int64)
    holds = np.zeros((slices.count, classes), bool)
    for place, example, present in dataset.as_numpy_iterator():
        examples[place], holds[place] = example, present
    return examples, kinds_of(holds)


def read_shards(paths: Sequence[str], firsts: Sequence[int] | np.ndarray) -> tf.data.Dataset:
    """All records of some shards, several shards at a time: (number, serialised record).

    The records of each shard are numbered from its entry in ``firsts``.
    """
    # Unbuffered: records are large, and a buffer would only add a copy.
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


def _present(labels: tf.Tensor, classes: int) -> tf.Tensor:
    """bool [classes]: whether each label is present."""
    pixels = tf.math.bincount(
        tf.cast(tf.reshape(labels, [-1]), tf.int32), minlength=classes, maxlength=classes
    )
    return pixels > 0

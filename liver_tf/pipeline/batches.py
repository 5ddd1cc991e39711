"""Records to training batches.

The order of the slices and their augmentation are functions of (seed, epoch, slice) alone: the
same run gives the same batches whatever the number of threads, and a resumed run sees what it
would have seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from liver_tf.pipeline import augment, resample
from liver_tf.records.graph import parser
from liver_tf.records.manifest import CaseEntry, Manifest

#: Slices held in memory at the network's size, unless they take more than this.
DEFAULT_CACHE_MB = 2048


@dataclass(frozen=True)
class Slices:
    """Which slices of which cases, and at what size.

    Attributes:
      folder, manifest: the record set. cases: pseudonyms; their order does not matter.
      image_size: side of the network's input in pixels.
      label_map: new label of each label of the record set (``(0, 1, 1)``: liver and lesion are
        one class).
      skip_without_liver: leave out slices on which nothing but background is labelled.
    """

    folder: Path
    manifest: Manifest
    cases: tuple[str, ...]
    image_size: int
    label_map: tuple[int, ...]
    skip_without_liver: bool = False

    def entries(self) -> list[CaseEntry]:
        wanted = set(self.cases)
        return sorted(
            (entry for entry in self.manifest.cases if entry.case in wanted),
            key=lambda entry: entry.case,
        )


def network_view(
    image: tf.Tensor, labels: tf.Tensor, air_hu: float, size: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """A record's slice on the network's grid: float32 HU and uint8 labels, both [size, size]."""
    box = resample.whole_slice_box(tf.shape(image)[0], tf.shape(image)[1])
    taken = resample.take_region((image - air_hu)[None], box[None], size)[0] + air_hu
    return taken, resample.take_labels(labels, box, size)


def stream(slices: Slices, shard_order: Iterable[int] | None = None) -> tf.data.Dataset:
    """Slices as they lie in the shards, at the network's size: image, labels, example."""
    entries = slices.entries()
    order = range(len(entries)) if shard_order is None else shard_order
    paths = [str(slices.folder / entries[index].shard) for index in order]
    lookup = tf.constant(slices.label_map, tf.uint8)
    air = float(slices.manifest.window[0])
    parse = parser(slices.manifest.encoding)

    def view(serialised: tf.Tensor) -> dict[str, tf.Tensor]:
        record = parse(serialised)
        image, labels = network_view(record["image"], record["labels"], air, slices.image_size)
        labels = tf.gather(lookup, tf.cast(labels, tf.int32))
        return {"image": image, "labels": labels, "example": record["example"]}

    dataset = tf.data.Dataset.from_tensor_slices(paths).interleave(
        tf.data.TFRecordDataset,
        cycle_length=8,
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    dataset = dataset.map(view, tf.data.AUTOTUNE, deterministic=True)
    if slices.skip_without_liver:
        dataset = dataset.filter(lambda record: tf.reduce_any(record["labels"] > 0))
    return dataset


class BatchSource:
    """Batches of one part of the data, epoch by epoch.

    Slices that fit into ``cache_mb`` are read once and kept; else every epoch streams the shards
    through a shuffle buffer of that size.
    """

    def __init__(
        self,
        slices: Slices,
        *,
        batch_size: int,
        seed: int,
        ranges: augment.Ranges | None,
        cache_mb: float = DEFAULT_CACHE_MB,
        augment_on_host: bool = True,
    ) -> None:
        self._slices = slices
        self._batch_size = batch_size
        self._seed = seed
        self._ranges = ranges
        self._on_host = augment_on_host
        self.window = slices.manifest.window
        bytes_each = slices.image_size**2 * 5
        records = sum(entry.records for entry in slices.entries())
        self._buffer = max(int(cache_mb * 2**20 / bytes_each), 1)
        self._kept = _keep(stream(slices)) if records <= self._buffer else None
        self.examples = (
            len(self._kept["example"]) if self._kept is not None else self._count_streamed()
        )

    @property
    def steps(self) -> int:
        """Batches in an epoch; the last may be smaller."""
        return -(-self.examples // self._batch_size)

    def epoch(self, number: int, *, shuffled: bool = True) -> tf.data.Dataset:
        """Batches of an epoch: (images [b, s, s] HU float32, labels [b, s, s] uint8, parameters).

        ``parameters`` is what ``augment.apply`` still has to do on the device; an empty dictionary
        where nothing is left to do.
        """
        if self._kept is not None:
            dataset = self._from_memory(number, shuffled)
        else:
            dataset = self._from_shards(number, shuffled)
        dataset = dataset.map(self._with_parameters(number), tf.data.AUTOTUNE, deterministic=True)
        dataset = dataset.batch(self._batch_size)
        if self._ranges is not None and self._on_host:
            dataset = dataset.map(self._augmented, tf.data.AUTOTUNE, deterministic=True)
        return dataset.prefetch(tf.data.AUTOTUNE)

    def _from_memory(self, epoch: int, shuffled: bool) -> tf.data.Dataset:
        order = np.arange(self.examples)
        if shuffled:
            order = np.random.default_rng([self._seed, epoch]).permutation(order)
        kept = self._kept
        return tf.data.Dataset.from_tensor_slices(order).map(
            lambda index: {name: tf.gather(array, index) for name, array in kept.items()},
            tf.data.AUTOTUNE,
            deterministic=True,
        )

    def _from_shards(self, epoch: int, shuffled: bool) -> tf.data.Dataset:
        if not shuffled:
            return stream(self._slices)
        shards = len(self._slices.entries())
        order = np.random.default_rng([self._seed, epoch]).permutation(shards)
        return stream(self._slices, order.tolist()).shuffle(
            self._buffer, seed=self._seed * 1_000_003 + epoch, reshuffle_each_iteration=False
        )

    def _count_streamed(self) -> int:
        if not self._slices.skip_without_liver:
            return sum(entry.records for entry in self._slices.entries())
        return int(stream(self._slices).reduce(0, lambda count, _: count + 1))

    def _with_parameters(self, epoch: int) -> Callable:
        def draw(record):
            parameters = {}
            if self._ranges is not None:
                parameters = augment.draw(
                    self._seed, tf.constant(epoch), record["example"], self._ranges
                )
            return record["image"], record["labels"], parameters

        return draw

    def _augmented(self, images, labels, parameters):
        images, labels = augment.apply(images, labels, parameters, self.window)
        return images, labels, {}


def _keep(dataset: tf.data.Dataset) -> dict[str, tf.Tensor]:
    records = list(dataset.as_numpy_iterator())
    return {
        name: tf.constant(np.stack([record[name] for record in records]))
        for name in ("image", "labels", "example")
    }

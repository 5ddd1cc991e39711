"""Records to batches, epoch by epoch.

Which slices an epoch shows, their order and their augmentation are functions of (seed, epoch,
slice) only. The batches do not depend on the number of threads, on whether slices are held in
memory or read when needed, or on whether the run was resumed.
"""

import copy
import functools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from liver_tf.pipeline.augmentation import augment
from liver_tf.pipeline.sampling import EVERYTHING, FIRST_LESION, Sampling, interleaved, times_shown
from liver_tf.pipeline.slices import Slices, scan_kinds, stream
from liver_tf.pipeline.slices_in_memory import SlicesInMemory, WrongCount
from liver_tf.pipeline.slices_on_disk import SlicesOnDisk
from liver_tf.records.tfrecord import DamagedRecords
from liver_tf.refusals import Refusal

#: Memory for slices at the network's size.
DEFAULT_CACHE_MB = 2048

#: Prefetched batches. A fixed number: with AUTOTUNE it grows with the memory available.
_AHEAD = 4

#: Changes the augmentation of slices repeated in an epoch; odd, so repeats never collide.
_REPEAT_STEP = 0x2545F4914F6CDD1D
_EXAMPLES = (1 << 62) - 1


class BatchSource:
    """Batches of one part of the data.

    Slices that fit into ``cache_mb`` are read once and kept; otherwise each slice is read from its
    shard when needed, in the same order. All other memory (slices being decoded, prefetched
    batches) depends on the sizes of slice and batch only.

    Attributes:
      examples: Number of slices in this part; see ``slices_in`` for those in an epoch.
      held_mb: Memory used of ``cache_mb``.

    Raises:
      Refusal: ``shard-count``: the number of records in the shards differs from the manifest;
        ``no-tissue-maps``: images shall be drawn, but a case has no tissue maps.
    """

    def __init__(
        self,
        slices: Slices,
        *,
        batch_size: int,
        seed: int,
        ranges: augment.Ranges | None,
        sampling: Sampling = EVERYTHING,
        cache_mb: float = DEFAULT_CACHE_MB,
        augment_on_host: bool = True,
    ) -> None:
        self._batch_size = batch_size
        self._seed = seed
        self._ranges = ranges
        self._on_host = augment_on_host
        self._code_labels = None
        if ranges is not None and ranges.drawn:
            slices = slices.with_tissues()
            self._code_labels = slices.code_labels
        self.window = slices.manifest.window
        self.examples = slices.count
        needed_mb = self.examples * slices.bytes_each / 2**20
        fits = needed_mb <= cache_mb
        self.held_mb = needed_mb if fits else 0.0
        try:
            self._kept = (
                SlicesInMemory(stream(slices), self.examples) if fits else SlicesOnDisk(slices)
            )
        except (WrongCount, DamagedRecords):
            raise Refusal(
                "shard-count",
                slices.folder,
                expected=f"shards with the {self.examples} records that the manifest lists",
                found="another number, or damaged lengths",
                remedy="Copy the shards again from their source, or convert again.",
            ) from None
        # How often an epoch shows each slice; None if every epoch shows each slice once.
        self._times = None
        self._has_lesion: np.ndarray | None = None
        self._lesion_share = sampling.lesion_share
        if not sampling.shows_all:
            examples, kinds = scan_kinds(slices)
            self._times = functools.lru_cache(4)(
                lambda epoch: times_shown(sampling, seed, epoch, examples, kinds)
            )
            if sampling.lesion_share:
                self._has_lesion = kinds >= FIRST_LESION

    def with_batch_size(self, batch_size: int) -> "BatchSource":
        """A source with another batch size; slices in memory are shared."""
        other = copy.copy(self)
        other._batch_size = batch_size
        return other

    def slices_in(self, epoch: int) -> int:
        """Number of slices that an epoch shows; raises ``Refusal`` like ``times_shown``."""
        return self.examples if self._times is None else int(self._times(epoch).sum())

    def steps(self, epoch: int) -> int:
        """Number of batches in an epoch; the last one may be smaller."""
        return -(-self.slices_in(epoch) // self._batch_size)

    def epoch(self, number: int, *, shuffled: bool = True) -> tf.data.Dataset:
        """Batches of an epoch: (images [b, s, s] HU float32, labels [b, s, s] uint8, parameters).

        ``parameters`` are for ``augment.apply`` on the device; an empty dictionary if the batch is
        already augmented, or not augmented at all.
        """
        return self._batches(number, number + 1, shuffled)

    def epochs(self, first: int, after: int, *, shuffled: bool = True) -> "Epochs":
        """The epochs from ``first`` up to but not including ``after``, from one pipeline."""
        return Epochs(self._batches(first, after, shuffled), map(self.steps, range(first, after)))

    def _batches(self, first: int, after: int, shuffled: bool) -> tf.data.Dataset:
        def of_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
            dataset = self._slices_of(epoch, shuffled).batch(self._batch_size)
            # Per batch: drawing for eight slices costs little more than for one.
            return dataset.map(
                functools.partial(self._with_parameters, epoch),
                tf.data.AUTOTUNE,
                deterministic=True,
            )

        dataset = tf.data.Dataset.range(first, after).flat_map(of_epoch)
        if self._ranges is not None and self._on_host:
            dataset = dataset.map(self._augmented, tf.data.AUTOTUNE, deterministic=True)
        return dataset.prefetch(_AHEAD)

    def _slices_of(self, epoch: tf.Tensor, shuffled: bool) -> tf.data.Dataset:
        def order(epoch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            times = np.ones(self.examples, np.int64)
            if self._times is not None:
                times = self._times(int(epoch))
            places = np.repeat(np.arange(self.examples), times)
            # 0, 1, ... for the repeats of each slice, which are adjacent here.
            repeats = np.arange(len(places)) - np.repeat(np.cumsum(times) - times, times)
            if not shuffled:
                return places, repeats
            mixed = np.random.default_rng([self._seed, int(epoch)]).permutation(len(places))
            if self._has_lesion is not None:
                has_lesion = self._has_lesion[places[mixed]]
                mixed = interleaved(mixed, has_lesion, self._lesion_share)
            return places[mixed], repeats[mixed]

        def take(place: tf.Tensor, repeat: tf.Tensor) -> dict[str, tf.Tensor]:
            return self._kept.take(place) | {"repeat": repeat}

        ordered = tf.numpy_function(order, [epoch], (tf.int64, tf.int64))
        dataset = tf.data.Dataset.from_tensor_slices(
            tuple(tf.ensure_shape(numbers, [None]) for numbers in ordered)
        )
        return dataset.map(take, tf.data.AUTOTUNE, deterministic=True)

    def _with_parameters(self, epoch: tf.Tensor, slice_: dict[str, tf.Tensor]) -> tuple:
        parameters = {}
        if self._ranges is not None:
            example = slice_["example"]
            # Repeat 0 has the augmentation of a slice that is not repeated.
            example = (example + slice_["repeat"] * _REPEAT_STEP) & _EXAMPLES
            parameters = augment.draw(self._seed, epoch, example, self._ranges)
        if self._code_labels is not None:
            tissues = slice_["tissues"]
            code_labels = tf.tile(self._code_labels[None], [tf.shape(tissues)[0], 1])
            parameters |= {"tissues": tissues, "code_labels": code_labels}
        return slice_["image"], slice_["labels"], parameters

    def _augmented(self, images, labels, parameters):
        # A smaller last batch is padded with its last slice and cut again, so that XLA compiles for
        # a single batch size, and not while a step waits at the end of an epoch.
        count = tf.shape(images)[0]
        places = tf.minimum(tf.range(self._batch_size), count - 1)

        def padded(tensor: tf.Tensor) -> tf.Tensor:
            full = tf.cond(
                count < self._batch_size,
                lambda: tf.gather(tensor, places),
                lambda: tf.identity(tensor),
            )
            return tf.ensure_shape(full, [self._batch_size, *tensor.shape[1:]])

        batch = tf.nest.map_structure(padded, (images, labels, parameters))
        images, labels = augment.apply(*batch, self.window)
        return images[:count], labels[:count], {}


class Epochs(Iterator):
    """An iterator over the batches of each of several epochs, all from one pipeline.

    The pipeline starts immediately, and prepares the first batches of an epoch during the last
    steps of the previous one. Each batch is requested while the previous step computes; a request
    between steps would wait for the threads that prepare later batches. Each iterator must be
    exhausted before the next one is requested.

    Attributes:
      element_spec: Of a batch, as in ``tf.data.Dataset``.
    """

    def __init__(self, dataset: tf.data.Dataset, steps: Iterator[int]) -> None:
        """``steps``: number of batches in each epoch."""
        self.element_spec = dataset.element_spec
        self._steps = steps
        self._batches = iter(dataset)
        self._requests = ThreadPoolExecutor(1)
        self._request()

    def __next__(self) -> Iterator:
        return self._of_epoch(next(self._steps))

    def _request(self) -> None:
        self._requested = self._requests.submit(next, self._batches, None)

    def _of_epoch(self, steps: int) -> Iterator:
        for _ in range(steps):
            batch = self._requested.result()
            self._request()
            yield batch

"""Records to training batches.

Which slices an epoch shows, their order and their augmentation are functions of (seed, epoch,
slice) alone: the same run gives the same batches whatever the number of threads, whether its
slices are held in memory or read when they are due, and a resumed run sees what it would have seen.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from liver_tf.pipeline import augment, memory
from liver_tf.pipeline.on_disk import OnDisk
from liver_tf.pipeline.sampling import EVERYTHING, Sampling, times_shown
from liver_tf.pipeline.slices import Slices, look_over, stream
from liver_tf.records.tfrecord import DamagedRecords
from liver_tf.refusals import Refusal

#: Memory for slices at the network's size.
DEFAULT_CACHE_MB = 2048

#: Batches made ahead. A fixed number: TensorFlow's own choice grows with the memory that it finds.
_AHEAD = 4

#: Another augmentation for a slice that an epoch shows again; odd, so that no two repeats meet.
_REPEAT_STEP = 0x2545F4914F6CDD1D
_EXAMPLES = (1 << 62) - 1


class BatchSource:
    """Batches of one part of the data, epoch by epoch.

    Slices that fit into ``cache_mb`` are read once and kept; else each is read from its shard
    whenever it is due, in the same order. What else is on the way (slices being decoded, batches
    made ahead) hangs on the sizes of slice and batch, not on how many there are.

    Attributes:
      examples: slices in this part; ``slices_in`` tells how many an epoch shows.
      held_mb: how much of ``cache_mb`` is used.

    Raises:
      Refusal: ``shard-count``, where the shards hold other numbers of records than the manifest
        says.
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
        self.window = slices.manifest.window
        self.examples = slices.count
        needed_mb = self.examples * slices.bytes_each / 2**20
        fits = needed_mb <= cache_mb
        self.held_mb = needed_mb if fits else 0.0
        try:
            self._kept = memory.Held(stream(slices), self.examples) if fits else OnDisk(slices)
        except (memory.OtherCount, DamagedRecords):
            raise Refusal(
                "shard-count",
                slices.folder,
                expected=f"shards with the {self.examples} records that the manifest counts",
                found="another number, or lengths that are damaged",
                remedy="Copy them again from where the data set was made, or convert again.",
            ) from None
        # Of an epoch: how often each slice is shown; None where every epoch shows each once.
        self._times = None
        if not sampling.shows_all:
            known = look_over(slices)
            self._times = functools.lru_cache(4)(
                lambda epoch: times_shown(sampling, seed, epoch, *known)
            )

    def with_batch_size(self, batch_size: int) -> BatchSource:
        """The same slices in batches of another size; what is kept in memory is shared."""
        other = copy.copy(self)
        other._batch_size = batch_size
        return other

    def slices_in(self, epoch: int) -> int:
        """How many slices an epoch shows. Raises what ``times_shown`` raises."""
        return self.examples if self._times is None else int(self._times(epoch).sum())

    def steps(self, epoch: int) -> int:
        """Batches in an epoch; the last may be smaller."""
        return -(-self.slices_in(epoch) // self._batch_size)

    def epoch(self, number: int, *, shuffled: bool = True) -> tf.data.Dataset:
        """Batches of an epoch: (images [b, s, s] HU float32, labels [b, s, s] uint8, parameters).

        ``parameters`` is what ``augment.apply`` still has to do on the device; an empty dictionary
        where nothing is left to do.
        """
        return self._batches(number, number + 1, shuffled)

    def epochs(self, first: int, after: int, *, shuffled: bool = True) -> Epochs:
        """The epochs from ``first`` to before ``after``, by one pipeline for all of them."""
        return Epochs(self._batches(first, after, shuffled), map(self.steps, range(first, after)))

    def _batches(self, first: int, after: int, shuffled: bool) -> tf.data.Dataset:
        def of_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
            dataset = self._slices_of(epoch, shuffled).batch(self._batch_size)
            # Of whole batches: parameters of eight slices cost little more than those of one.
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
            # 0, 1, ... for each slice's showings: they stand beside each other.
            repeats = np.arange(len(places)) - np.repeat(np.cumsum(times) - times, times)
            if not shuffled:
                return places, repeats
            mixed = np.random.default_rng([self._seed, int(epoch)]).permutation(len(places))
            return places[mixed], repeats[mixed]

        def take(place: tf.Tensor, repeat: tf.Tensor) -> dict[str, tf.Tensor]:
            return self._kept.take(place) | {"repeat": repeat}

        order = tf.numpy_function(order, [epoch], (tf.int64, tf.int64))
        dataset = tf.data.Dataset.from_tensor_slices(
            tuple(tf.ensure_shape(numbers, [None]) for numbers in order)
        )
        return dataset.map(take, tf.data.AUTOTUNE, deterministic=True)

    def _with_parameters(self, epoch: tf.Tensor, slice_: dict[str, tf.Tensor]) -> tuple:
        parameters = {}
        if self._ranges is not None:
            example = slice_["example"]
            # The first showing in an epoch is what it is where there is no other.
            example = (example + slice_["repeat"] * _REPEAT_STEP) & _EXAMPLES
            parameters = augment.draw(self._seed, epoch, example, self._ranges)
        return slice_["image"], slice_["labels"], parameters

    def _augmented(self, images, labels, parameters):
        # A smaller last batch is filled up with its last slice and cut again: XLA compiles for one
        # size of a batch, once, and not while a step waits for the end of an epoch.
        count = tf.shape(images)[0]
        places = tf.minimum(tf.range(self._batch_size), count - 1)

        def filled(one: tf.Tensor) -> tf.Tensor:
            full = tf.cond(
                count < self._batch_size, lambda: tf.gather(one, places), lambda: tf.identity(one)
            )
            return tf.ensure_shape(full, [self._batch_size, *one.shape[1:]])

        batch = tf.nest.map_structure(filled, (images, labels, parameters))
        images, labels = augment.apply(*batch, self.window)
        return images[:count], labels[:count], {}


class Epochs(Iterator):
    """For each of some epochs an iterator over its batches, by one pipeline for all of them.

    The pipeline begins when this is made, and makes the first batches of an epoch while the last of
    the one before are used. A batch is asked for while the step before it computes: asked for in
    between, it would come when the threads that make later ones let it. Each iterator must be used
    up before the next is asked for.

    Attributes:
      element_spec: of a batch, as of a ``tf.data.Dataset``.
    """

    def __init__(self, dataset: tf.data.Dataset, steps: Iterator[int]) -> None:
        """``steps``: how many of the data set's batches make up each epoch."""
        self.element_spec = dataset.element_spec
        self._steps = steps
        self._batches = iter(dataset)
        self._asking = ThreadPoolExecutor(1)
        self._ask()

    def __next__(self) -> Iterator:
        return self._of_epoch(next(self._steps))

    def _ask(self) -> None:
        self._asked = self._asking.submit(next, self._batches, None)

    def _of_epoch(self, steps: int) -> Iterator:
        for _ in range(steps):
            batch = self._asked.result()
            self._ask()
            yield batch

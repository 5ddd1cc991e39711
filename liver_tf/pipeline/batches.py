"""Records to training batches.

Which slices an epoch shows and their augmentation are functions of (seed, epoch, slice) alone. So
is their order where they are held in memory; where they are streamed it also hangs on the size of
the shuffle buffer and on TensorFlow's global seed, both of which a run fixes. The same run gives
the same batches whatever the number of threads, and a resumed run sees what it would have seen.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from liver_tf.pipeline import augment, memory
from liver_tf.pipeline.sampling import EVERYTHING, Sampling, times_shown
from liver_tf.pipeline.slices import Slices, look_over, stream
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

    Slices that fit into ``cache_mb`` are read once and kept; else every epoch streams the shards
    through a shuffle buffer of that size. What else is on the way (open shards, slices being
    decoded, batches made ahead) hangs on the sizes of slice and batch, not on how many there are.

    Attributes:
      examples: slices in this part; ``slices_in`` tells how many an epoch shows.
      held_mb: how much of ``cache_mb`` is used.
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
        self._slices = slices
        self._batch_size = batch_size
        self._seed = seed
        self._ranges = ranges
        self._on_host = augment_on_host
        self.window = slices.manifest.window
        self.examples = slices.count
        self._buffer = max(int(cache_mb * 2**20 / slices.bytes_each), 1)
        self._kept = None
        self.held_mb = cache_mb
        if self.examples <= self._buffer:
            try:
                self._kept = memory.Held(stream(slices), self.examples)
            except memory.OtherCount:
                raise self._other_count() from None
            self.held_mb = self.examples * slices.bytes_each / 2**20
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

    def epochs(self, first: int, after: int, *, shuffled: bool = True) -> Iterator[Iterator]:
        """For each epoch from ``first`` to before ``after``, an iterator over its batches.

        One pipeline for all of them: it is made by this call, and makes the first batches of an
        epoch while the last of the one before are used. A batch is asked for while the step before
        it computes: asked for in between, it would come when the threads that make later ones let
        it. Each iterator must be used up before the next is asked for; it raises ``Refusal``,
        ``shard-count``, where the shards hold other numbers of records than the manifest says.
        """
        batches = iter(self._batches(first, after, shuffled))
        asking = ThreadPoolExecutor(1)
        asked = asking.submit(next, batches, None)

        def of_epoch(number: int) -> Iterator:
            nonlocal asked
            missing = self.slices_in(number)
            for _ in range(self.steps(number)):
                if (batch := asked.result()) is None:
                    break
                missing -= batch[0].shape[0]
                asked = asking.submit(next, batches, None)
                yield batch
            if missing:
                raise self._other_count()

        def one_by_one() -> Iterator[Iterator]:
            with asking:
                for number in range(first, after):
                    yield of_epoch(number)

        return one_by_one()

    def _batches(self, first: int, after: int, shuffled: bool) -> tf.data.Dataset:
        def of_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
            make = self._from_memory if self._kept is not None else self._from_shards
            dataset = make(epoch, shuffled).batch(self._batch_size)
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

    def _other_count(self) -> Refusal:
        return Refusal(
            "shard-count",
            self._slices.folder,
            expected=f"shards with the {self.examples} records that the manifest counts",
            came="another number",
            remedy="Copy them again from where the data set was made, or convert again.",
        )

    def _from_memory(self, epoch: tf.Tensor, shuffled: bool) -> tf.data.Dataset:
        def order(epoch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            times = np.ones(self.examples, np.int64)
            if self._times is not None:
                times = self._times(int(epoch))
            places = np.repeat(np.arange(self.examples), times)
            # 0, 1, ... for each slice's showings: they stand beside each other.
            repeats = np.arange(len(places)) - np.repeat(np.cumsum(times) - times, times)
            mixed = self._mixed(epoch, len(places), shuffled)
            return places[mixed], repeats[mixed]

        def take(place: tf.Tensor, repeat: tf.Tensor) -> dict[str, tf.Tensor]:
            return self._kept.take(place) | {"repeat": repeat}

        order = tf.numpy_function(order, [epoch], (tf.int64, tf.int64))
        dataset = tf.data.Dataset.from_tensor_slices(
            tuple(tf.ensure_shape(numbers, [None]) for numbers in order)
        )
        return dataset.map(take, tf.data.AUTOTUNE, deterministic=True)

    def _from_shards(self, epoch: tf.Tensor, shuffled: bool) -> tf.data.Dataset:
        shards = len(self._slices.entries)
        shard_order = tf.numpy_function(
            lambda epoch: self._mixed(epoch, shards, shuffled), [epoch], tf.int64
        )
        times = None
        if self._times is not None:
            times = tf.numpy_function(lambda epoch: self._times(int(epoch)), [epoch], tf.int64)
            times = tf.ensure_shape(times, [None])
        dataset = stream(self._slices, tf.ensure_shape(shard_order, [shards]), times)
        if not shuffled:
            return dataset
        seed = self._seed * 1_000_003 + epoch
        return dataset.shuffle(self._buffer, seed=seed, reshuffle_each_iteration=False)

    def _mixed(self, epoch: np.ndarray, count: int, shuffled: bool) -> np.ndarray:
        """The numbers below ``count`` in an epoch's order."""
        numbers = np.arange(count)
        if not shuffled:
            return numbers
        return np.random.default_rng([self._seed, int(epoch)]).permutation(numbers)

    def _with_parameters(self, epoch: tf.Tensor, slice_: dict[str, tf.Tensor]) -> tuple:
        parameters = {}
        if self._ranges is not None:
            example = slice_["example"]
            if "repeat" in slice_:
                # The first showing in an epoch is what it is where there is no other.
                example = (example + slice_["repeat"] * _REPEAT_STEP) & _EXAMPLES
            parameters = augment.draw(self._seed, epoch, example, self._ranges)
        return slice_["image"], slice_["labels"], parameters

    def _augmented(self, images, labels, parameters):
        images, labels = augment.apply(images, labels, parameters, self.window)
        return images, labels, {}

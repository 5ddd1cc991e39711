"""One batch over several devices: the GPUs of one machine, or several machines.

Every replica holds all weights and takes its share of each batch; losses and gradients are summed
over the replicas, each weighed by its share, so that n replicas learn from a batch what one would.
Every process reads all records and makes the same batches: they are functions of (seed, epoch,
slice), so nothing has to be handed round.

Only batch normalisation that learns its statistics (``norm=update``) tells the number of replicas:
each normalises by its own slices.

Of several processes the chief alone reads and writes the run's folder. What it finds there and
what it decides goes to the others through ``from_chief`` and ``spread``.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from liver_tf.refusals import Refusal, TrainingStopped
from liver_tf.training.training_settings import MIRRORED, MULTI_WORKER, ONE, STRATEGIES


class OneDevice:
    """The plain case: a single process that trains on a single device."""

    count = 1
    is_chief = True

    def scope(self) -> contextlib.AbstractContextManager:
        """Where model and optimiser must be made."""
        return contextlib.nullcontext()

    def share(self, batch: tuple) -> tuple[tuple, tf.Tensor | None]:
        """Inside a step: this replica's part of a batch, and its weight (None: all of it)."""
        return batch, None

    def compiled(self, step: Callable) -> Callable:
        """A step (images, labels, parameters) compiled once for all batch sizes.

        The last batch of an epoch may be smaller than the others. ``traced`` of what is returned
        holds the compiled function after the first call, or after ``prepare(*specs)`` of it, which
        traces the step for batches (tensors or their specs) before there is one.
        """
        traced: list[Callable] = []

        def prepare(*batch):
            if not traced:
                signature = tf.nest.map_structure(_any_batch, batch)
                traced.append(tf.function(self._everywhere(step), input_signature=signature))
                traced[0].get_concrete_function()

        def call(*batch):
            prepare(*batch)
            return traced[0](*batch)

        call.traced, call.prepare = traced, prepare
        return call

    def _everywhere(self, step: Callable) -> Callable:
        return step

    def from_chief(self, work: Callable[[], Any]) -> Any:
        """Do something with the run's folder in the chief alone.

        Returns in every process what ``work`` returned in the chief (plain JSON values); a
        ``Refusal`` or ``TrainingStopped`` is raised in all of them.
        """
        return work()

    def spread(self, model: keras.Model, optimiser: keras.Optimizer | None = None) -> None:
        """Give the chief's weights, and the optimiser's moments, to all processes."""

    def demand_same(self, value: Any, what: str) -> None:
        """Refuse processes that were started with different arguments or data."""


def _any_batch(value: tf.Tensor | tf.TensorSpec) -> tf.TensorSpec:
    return tf.TensorSpec([None, *value.shape[1:]], value.dtype)


class Mirrored(OneDevice):
    """All GPUs of one machine, a replica on each."""

    def __init__(self, strategy: tf.distribute.Strategy | None = None) -> None:
        self._strategy = strategy or tf.distribute.MirroredStrategy()
        self.count = self._strategy.num_replicas_in_sync

    def scope(self) -> contextlib.AbstractContextManager:
        return self._strategy.scope()

    def share(self, batch: tuple) -> tuple[tuple, tf.Tensor | None]:
        """Consecutive slices, as many as fall to each replica.

        A replica that goes empty-handed (a batch smaller than their number) gets a slice with
        weight 0: its kernels would not take a batch without slices.
        """
        place = tf.distribute.get_replica_context().replica_id_in_sync_group
        size = tf.shape(batch[0])[0]
        first, last = place * size // self.count, (place + 1) * size // self.count
        taken = slice(first, tf.maximum(last, first + 1))
        mine = tf.nest.map_structure(lambda value: value[taken], batch)
        return mine, tf.cast(last - first, tf.float32) / tf.cast(size, tf.float32)

    def _everywhere(self, step: Callable) -> Callable:
        def call(*batch):
            results = self._strategy.run(step, args=batch)
            return tf.nest.map_structure(
                lambda value: self._strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None),
                results,
            )

        return call


class MultiWorker(Mirrored):
    """Several processes, on one machine or many; ``TF_CONFIG`` tells each who and where it is.

    To be made before TensorFlow does anything else.
    """

    def __init__(self) -> None:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
        resolver = strategy.cluster_resolver
        self.is_chief = not resolver.task_type or (resolver.task_type, resolver.task_id) in (
            ("chief", 0),
            ("chief", None),
            *([] if "chief" in resolver.cluster_spec().jobs else [("worker", 0)]),
        )
        super().__init__(strategy)

    def compiled(self, step: Callable) -> Callable:
        call = super().compiled(step)

        def guarded(*batch):
            with _stopping_when_alone():
                return call(*batch)

        guarded.prepare = call.prepare
        return guarded

    def from_chief(self, work: Callable[[], Any]) -> Any:
        said: dict = {}
        if self.is_chief:
            try:
                said = {"value": work()}
            except Refusal as refusal:
                path = None if refusal.path is None else str(refusal.path)
                said = {"refusal": refusal.to_json(), "path": path}
            except TrainingStopped as stopped:
                said = {"stopped": str(stopped)}
        said = json.loads(self._from_chief(json.dumps(said).encode()))
        if "refusal" in said:
            raise Refusal.from_json(said["refusal"], said["path"])
        if "stopped" in said:
            raise TrainingStopped(said["stopped"])
        return said["value"]

    def spread(self, model: keras.Model, optimiser: keras.Optimizer | None = None) -> None:
        variables = [*model.weights, *(optimiser.variables if optimiser else ())]
        arrays = [np.array(variable) for variable in variables]
        data = self._from_chief(b"".join(array.tobytes() for array in arrays))
        if self.is_chief:
            return
        place = 0
        for variable, array in zip(variables, arrays, strict=True):
            taken = np.frombuffer(data, array.dtype, array.size, place).reshape(array.shape)
            variable.assign(taken)
            place += array.nbytes

    def demand_same(self, value: Any, what: str) -> None:
        own = json.dumps(value, sort_keys=True)
        differs = own != self.from_chief(lambda: own)
        if self._sum(np.array([int(differs)], np.int32), all_count=True)[0]:
            raise Refusal(
                "workers-differ",
                None,
                expected=f"the same {what} in all processes",
                found="others in " + ("this process" if differs else "another process"),
                remedy="Start all of them with the same flags, on the same records.",
            )

    def _from_chief(self, data: bytes) -> bytes:
        """The chief's bytes, in every process: as whole numbers added to the others' zeros."""
        size = int(self._sum(np.array([len(data)], np.int32))[0])
        padded = np.zeros(-(-size // 4), np.int32)
        if self.is_chief:
            padded.view(np.uint8)[:size] = np.frombuffer(data, np.uint8)
        return self._sum(padded).tobytes()[:size] if size else b""

    def _sum(self, numbers: np.ndarray, *, all_count: bool = False) -> np.ndarray:
        """int32 numbers [n] added over all replicas; only the chief's first counts by default."""

        def of_replica(context):
            counts = all_count or context.replica_id_in_sync_group == 0
            return tf.constant(numbers if counts else np.zeros_like(numbers))

        with _stopping_when_alone():
            values = self._strategy.experimental_distribute_values_from_function(of_replica)
            return self._strategy.reduce(tf.distribute.ReduceOp.SUM, values, axis=None).numpy()


#: How a collective operation fails when a process at the other end is gone.
_ALONE = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)


@contextlib.contextmanager
def _stopping_when_alone() -> Iterator[None]:
    try:
        yield
    except _ALONE as error:
        raise TrainingStopped(
            "another process of this training is gone. All epochs that were finished before are "
            "kept by the chief; start all processes again to go on."
        ) from error


def make(strategy: str) -> OneDevice:
    """Replicas after one of ``STRATEGIES``; raises ``ValueError`` for another name."""
    makers = {ONE: OneDevice, MIRRORED: Mirrored, MULTI_WORKER: MultiWorker}
    if strategy not in makers:
        raise ValueError(f"strategy: expected one of {', '.join(STRATEGIES)}, got {strategy!r}")
    return makers[strategy]()

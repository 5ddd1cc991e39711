"""Devices that share each batch: one, all GPUs of a machine, or several machines.

Every replica holds all weights and takes its share of each batch. Losses and gradients are summed
over the replicas, weighted by their shares, so n replicas train like one; only batch normalisation
with ``norm=update`` depends on their number. Every process makes the same batches, which are
functions of (seed, epoch, slice); no data is exchanged.

With several processes only the chief reads and writes the run folder. The others receive what it
reads and decides through ``from_chief`` and ``spread``.
"""

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from liver_tf.refusals import Refusal, TrainingStopped
from liver_tf.training.training_settings import MIRRORED, MULTI_WORKER, ONE, STRATEGIES


def make_replicas(strategy: str) -> "OneDevice":
    """The replicas of one of ``STRATEGIES``.

    Several processes must call this before TensorFlow does anything else.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy: expected one of {', '.join(STRATEGIES)}, got {strategy!r}")
    return {ONE: OneDevice, MIRRORED: Mirrored, MULTI_WORKER: MultiWorker}[strategy]()


class OneDevice:
    """A single process that trains on a single device."""

    count = 1
    is_chief = True

    def scope(self) -> contextlib.AbstractContextManager:
        """The context in which model and optimiser must be made."""
        return contextlib.nullcontext()

    def share(self, batch: tuple) -> tuple[tuple, tf.Tensor | None]:
        """Inside a step: this replica's part of a batch, and its weight (None: all of it)."""
        return batch, None

    def compiled(self, step: Callable) -> "CompiledStep":
        """Compile a step (images, labels, parameters) once for all batch sizes."""
        return CompiledStep(self, step)

    def everywhere(self, step: Callable) -> Callable:
        """Inside a compiled step: run ``step`` on all replicas and sum its results."""
        return step

    def watch(self) -> contextlib.AbstractContextManager:
        """The context of work that may wait for other processes."""
        return contextlib.nullcontext()

    def from_chief(self, work: Callable[[], Any]) -> Any:
        """Call ``work`` in the chief only; return its result (JSON values) in every process.

        A ``Refusal`` or ``TrainingStopped`` of ``work`` is raised in every process.
        """
        return work()

    def spread(self, model: keras.Model, variables: Iterable[Any] = ()) -> None:
        """Copy the chief's weights, and other variables, to all processes."""

    def demand_same(self, value: Any, what: str) -> None:
        """Raise ``Refusal`` if the processes were started with different arguments or data."""


ONE_DEVICE = OneDevice()


class CompiledStep:
    """A step that is traced once; the last batch of an epoch may be smaller than the others.

    Attributes:
      traced: The ``tf.function``, in a list that is empty until it is traced.
    """

    def __init__(self, replicas: OneDevice, step: Callable) -> None:
        self._replicas, self._step = replicas, step
        self.traced: list[Any] = []

    def prepare(self, *batch) -> None:
        """Trace the step for a batch or its specs, if it is not traced yet."""
        if not self.traced:
            signature = tf.nest.map_structure(
                lambda value: tf.TensorSpec([None, *value.shape[1:]], value.dtype), batch
            )
            step = self._replicas.everywhere(self._step)
            self.traced.append(tf.function(step, input_signature=signature, autograph=False))
            self.traced[0].get_concrete_function()

    def __call__(self, *batch):
        with self._replicas.watch():
            self.prepare(*batch)
            return self.traced[0](*batch)


class Mirrored(OneDevice):
    """All GPUs of one machine, one replica on each."""

    def __init__(self, strategy: tf.distribute.Strategy | None = None) -> None:
        self._strategy = strategy or tf.distribute.MirroredStrategy()
        self.count = self._strategy.num_replicas_in_sync

    def scope(self) -> contextlib.AbstractContextManager:
        return self._strategy.scope()

    def share(self, batch: tuple) -> tuple[tuple, tf.Tensor | None]:
        """Divide a batch into parts of consecutive slices, as equal as possible.

        A replica without slices (in a batch smaller than the number of replicas) gets one with
        weight 0, because kernels do not accept an empty batch.
        """
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        size = tf.shape(batch[0])[0]
        first, last = replica * size // self.count, (replica + 1) * size // self.count
        taken = slice(first, tf.maximum(last, first + 1))
        part = tf.nest.map_structure(lambda value: value[taken], batch)
        return part, tf.cast(last - first, tf.float32) / tf.cast(size, tf.float32)

    def everywhere(self, step: Callable) -> Callable:
        def on_all_replicas(*batch):
            results = self._strategy.run(step, args=batch)
            return tf.nest.map_structure(self._total, results)

        return on_all_replicas

    def _total(self, value: Any) -> tf.Tensor:
        return self._strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None)


class MultiWorker(Mirrored):
    """Several processes, on one machine or many, as described by ``TF_CONFIG``."""

    def __init__(self) -> None:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
        resolver = strategy.cluster_resolver
        self.is_chief = not resolver.task_type or (resolver.task_type, resolver.task_id) in (
            ("chief", 0),
            ("chief", None),
            *([] if "chief" in resolver.cluster_spec().jobs else [("worker", 0)]),
        )
        super().__init__(strategy)

    @contextlib.contextmanager
    def watch(self) -> Iterator[None]:
        try:
            yield
        except _PROCESS_LOST as error:
            raise TrainingStopped(
                "another process of this training has ended. The chief keeps all finished epochs; "
                "start all processes again to resume."
            ) from error

    def from_chief(self, work: Callable[[], Any]) -> Any:
        answer: dict = {}
        if self.is_chief:
            try:
                answer = {"value": work()}
            except Refusal as refusal:
                path = refusal.path and str(refusal.path)
                answer = {"refusal": refusal.to_json(), "path": path}
            except TrainingStopped as stopped:
                answer = {"stopped": str(stopped)}
        answer = json.loads(self._from_chief(json.dumps(answer).encode()))
        if "refusal" in answer:
            raise Refusal.from_json(answer["refusal"], answer["path"])
        if "stopped" in answer:
            raise TrainingStopped(answer["stopped"])
        return answer["value"]

    def spread(self, model: keras.Model, variables: Iterable[Any] = ()) -> None:
        variables = [*model.weights, *variables]
        arrays = [np.array(variable.numpy()) for variable in variables]
        data = self._from_chief(b"".join(array.tobytes() for array in arrays))
        if self.is_chief:
            return
        offset = 0
        for variable, array in zip(variables, arrays, strict=True):
            values = np.frombuffer(data, array.dtype, array.size, offset)
            variable.assign(values.reshape(array.shape))
            offset += array.nbytes

    def demand_same(self, value: Any, what: str) -> None:
        text = json.dumps(value, sort_keys=True)
        differs = text != self.from_chief(lambda: text)
        if self._sum(np.array([int(differs)], np.int32), all_count=True)[0]:
            raise Refusal(
                "workers-differ",
                None,
                expected=f"the same {what} in all processes",
                found="others in " + ("this process" if differs else "another process"),
                remedy="Start all processes with the same flags, on the same records.",
            )

    def _from_chief(self, data: bytes) -> bytes:
        """The chief's bytes in every process: the sum of its integers and the others' zeros."""
        size = int(self._sum(np.array([len(data)], np.int32))[0])
        padded = np.zeros(-(-size // 4), np.int32)
        if self.is_chief:
            padded.view(np.uint8)[:size] = np.frombuffer(data, np.uint8)
        return self._sum(padded).tobytes()[:size] if size else b""

    def _sum(self, numbers: np.ndarray, *, all_count: bool = False) -> np.ndarray:
        """Sum int32 numbers [n] over all replicas; by default only the first replica's count."""

        def of_replica(context):
            counts = all_count or context.replica_id_in_sync_group == 0
            return tf.constant(numbers if counts else np.zeros_like(numbers))

        with self.watch():
            distributed = self._strategy.experimental_distribute_values_from_function(of_replica)
            return self._total(distributed).numpy()


#: Errors of a collective operation after another process has ended.
_PROCESS_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)

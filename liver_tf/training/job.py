"""A training job: record set, split, network and protocol, carried out in a run folder."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path

import keras
import tensorflow as tf

from liver_tf import __version__
from liver_tf.folder_lock import locked_folder
from liver_tf.labels import LabelSet
from liver_tf.model import unet
from liver_tf.model.architecture import Architecture
from liver_tf.model.description import Description
from liver_tf.pipeline.augmentation.ranges import Ranges
from liver_tf.pipeline.batches import BatchSource
from liver_tf.pipeline.sampling import EVERYTHING, Sampling
from liver_tf.pipeline.slices import Slices
from liver_tf.records import leakage
from liver_tf.records.folds import Split
from liver_tf.records.manifest import Manifest
from liver_tf.records.shard_reader import check_shards
from liver_tf.training.compiled_steps import CompiledSteps
from liver_tf.training.computation import Computation
from liver_tf.training.cycle import TrainingData, TrainingSetup
from liver_tf.training.leak_check import note_seen
from liver_tf.training.protocol import Protocol
from liver_tf.training.protocol_run import is_finished, train_protocol
from liver_tf.training.run_identity import open_run
from liver_tf.training.task import Task


@dataclass(frozen=True)
class Job:
    """Everything that one training needs.

    Attributes:
      kind: ``liver`` or ``lesion``.
      records, manifest, split: The record set and the cases of each part.
      mapping, label_set: From ``task.label_map``.
      sampling: Of the training part.
      cache_mb: Memory for the slices of both parts; does not affect the weights.
    """

    kind: str
    records: Path
    manifest: Manifest
    split: Split
    mapping: tuple[int, ...]
    label_set: LabelSet
    task: Task
    architecture: Architecture
    protocol: Protocol
    ranges: Ranges
    sampling: Sampling
    seed: int
    computation: Computation
    cache_mb: int
    augment_on_host: bool
    deterministic: bool

    def identity(self) -> dict:
        """Everything that decides the weights."""
        return {
            "data_fingerprint": self.manifest.fingerprint,
            "split": asdict(self.split),
            "augmentation": asdict(self.ranges),
            "sampling": asdict(self.sampling),
            "task": asdict(self.task),
            "seed": self.seed,
            "protocol": asdict(self.protocol),
            "architecture": asdict(self.architecture),
            "computation": {
                **self.computation.identity(),
                "deterministic": self.deterministic,
                "augment_on_host": self.augment_on_host,
            },
        }

    def description(self) -> Description:
        """The description to be saved with the weights."""
        return Description(
            kind=self.kind,
            architecture=self.architecture,
            label_set=self.label_set,
            window=self.manifest.window,
            mean_hu=self.task.mean_hu,
            sd_hu=self.task.sd_hu,
            data_fingerprint=self.manifest.fingerprint,
            roi=self.manifest.roi,
        )

    def network(self) -> keras.Model:
        """The network with its initial weights, on the devices of the job."""
        with self.computation.replicas.scope():
            precision = self.computation.precision
            return unet.build(self.architecture, self.seed, precision=precision)

    def data(self) -> TrainingData:
        """Training and validation batches; validation may use the memory that training leaves."""

        @cache
        def training() -> BatchSource:
            return self._source(self.split.training, self.ranges, self.sampling, self.cache_mb)

        @cache
        def validation() -> BatchSource:
            cache_mb = self.cache_mb - training().held_mb
            return self._source(self.split.validation, None, EVERYTHING, cache_mb)

        return TrainingData(
            lambda size: training().with_batch_size(size),
            lambda size: validation().with_batch_size(size),
        )

    def _source(
        self, cases: tuple[str, ...], ranges: Ranges | None, sampling: Sampling, cache_mb: float
    ) -> BatchSource:
        image_size = self.architecture.image_size
        return BatchSource(
            Slices(self.records, self.manifest, cases, image_size, self.mapping),
            batch_size=1,
            seed=self.seed,
            ranges=ranges,
            sampling=sampling,
            cache_mb=cache_mb,
            augment_on_host=self.augment_on_host,
        )


def carry_out(
    job: Job,
    folder: Path,
    *,
    more_identity: dict | None = None,
    prepare: Callable[[keras.Model], None] = lambda model: None,
    seen_before: tuple[leakage.SplitPart, ...] = (),
    pictures: int,
) -> None:
    """Start or resume a run and train until it is finished.

    Args:
      folder: Of the run.
      more_identity: Added to the job's identity.
      prepare: Sets the weights from which the first cycle starts; only called if there is something
        left to train.
      seen_before: What the initial weights were trained on; added to the run's ``seen.json``.
      pictures: Number of overlay images for TensorBoard.

    Raises:
      Refusal: Another process uses the folder, it holds another run, or a shard differs from its
        manifest.
      TrainingStopped: Training cannot continue.
    """
    replicas = job.computation.replicas
    with contextlib.ExitStack() as lock:
        replicas.from_chief(partial(_lock, folder, lock))
        identity = job.identity() | (more_identity or {})
        replicas.demand_same(identity, "arguments and data")
        if replicas.from_chief(partial(_open, job, folder, identity, seen_before)):
            print(f"{folder}: already finished, nothing to do")
            return
        check_shards(job.records, job.manifest)
        model = job.network()
        replicas.from_chief(partial(prepare, model))
        replicas.spread(model)
        train_protocol(
            TrainingSetup(
                model=model,
                task=job.task,
                label_set=job.label_set,
                data=job.data(),
                steps=CompiledSteps(model, job.task, job.computation),
                replicas=replicas,
                images=pictures,
            ),
            job.protocol,
            folder,
            identity,
            job.description(),
        )
        print(f"{folder}: finished")


def _lock(folder: Path, lock: contextlib.ExitStack) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lock.enter_context(locked_folder(folder))


def _open(
    job: Job, folder: Path, identity: dict, seen_before: tuple[leakage.SplitPart, ...]
) -> bool:
    """Write or check ``run.json`` and ``seen.json``; return whether the run is finished."""
    versions = {
        "liver_tf": __version__,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
    }
    caution = open_run(folder, identity, versions)
    if caution:
        print(f"note: {caution}")
    note_seen(folder, job.kind, job.manifest, job.split, seen_before)
    return is_finished(folder)

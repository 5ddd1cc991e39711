"""A training job: what is trained, on which patients and devices; carried out in a run folder."""

import contextlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from liver_tf import __version__
from liver_tf.folder_lock import locked_folder
from liver_tf.labels import LabelSet
from liver_tf.model import unet
from liver_tf.model.architecture import Architecture
from liver_tf.model.block_weights import ParameterCount, parameter_counts
from liver_tf.model.description import Description
from liver_tf.pipeline.augmentation.ranges import Ranges
from liver_tf.pipeline.batches import BatchSource
from liver_tf.pipeline.sampling import EVERYTHING, Sampling
from liver_tf.pipeline.slices import Slices
from liver_tf.records.folds import Split
from liver_tf.records.leakage import SplitPart
from liver_tf.records.manifest import Manifest
from liver_tf.records.shard_reader import check_shards
from liver_tf.trained_on import TrainedOn
from liver_tf.training.compiled_steps import CompiledSteps
from liver_tf.training.computation import Computation, augment_on_host
from liver_tf.training.cycle_setup import TrainingData, TrainingSetup
from liver_tf.training.leak_check import save_training_cases
from liver_tf.training.protocol import Protocol, protocol_table
from liver_tf.training.protocol_run import is_finished, train_protocol
from liver_tf.training.run_identity import open_run
from liver_tf.training.task import Task, label_map, task_of
from liver_tf.training.training_settings import TrainingSettings


@dataclass(frozen=True)
class TrainingPlan:
    """A training before its patients are split.

    Attributes:
      kind: ``liver`` or ``lesion``.
      mapping, label_set: From ``task.label_map``.
    """

    settings: TrainingSettings
    kind: str
    manifest: Manifest
    mapping: tuple[int, ...]
    label_set: LabelSet
    architecture: Architecture
    protocol: Protocol
    ranges: Ranges

    def text(self) -> str:
        """The cycles as a table, and a sentence on the slices that an epoch shows."""
        sampling = self.settings.sampling.resolved()
        parameters = _parameters(self.architecture)
        return f"{protocol_table(self.protocol, parameters)}\n{sampling.in_words()}"


def make_plan(
    settings: TrainingSettings,
    kind: str,
    manifest: Manifest,
    architecture: Architecture,
    protocol: Protocol,
) -> TrainingPlan:
    """Make a plan; the number of classes of ``architecture`` is replaced by that of the records.

    Raises:
      OptionError: The augmentation does not fit the labels.
    """
    mapping, label_set = label_map(manifest.label_set, kind)
    architecture = replace(architecture, classes=len(label_set))
    ranges = settings.augmentation.for_labels(label_set)
    return TrainingPlan(
        settings, kind, manifest, mapping, label_set, architecture, protocol, ranges
    )


@cache
def _parameters(architecture: Architecture) -> dict[str, ParameterCount]:
    return parameter_counts(unet.build(architecture))


@dataclass(frozen=True)
class Job:
    """A training with everything that determines its weights, except the initial ones.

    Attributes:
      task: Computed from the training cases of ``split``.
      before: The network whose weights are the initial ones; None for new weights.
    """

    plan: TrainingPlan
    split: Split
    computation: Computation
    task: Task
    before: Description | None = None

    @classmethod
    def of(
        cls,
        plan: TrainingPlan,
        split: Split,
        computation: Computation,
        standardisation: tuple[float, float] | None = None,
        before: Description | None = None,
    ) -> "Job":
        """The training of a split; raises ``Refusal`` if its training cases have no liver.

        ``standardisation``: mean and SD of liver HU, in HU; None: those of the training cases.
        """
        loss = plan.settings.resolved_loss()
        task = task_of(plan.manifest, split.training, plan.mapping, loss)
        if standardisation is not None:
            task = replace(task, mean_hu=standardisation[0], sd_hu=standardisation[1])
        return cls(plan, split, computation, task, before)

    def identity(self) -> dict[str, Any]:
        """Everything that determines the weights, except the initial ones."""
        plan, settings = self.plan, self.plan.settings
        return {
            "data_fingerprint": plan.manifest.fingerprint,
            "split": asdict(self.split),
            "augmentation": plan.ranges.identity(),
            "sampling": settings.sampling.resolved().identity(),
            "task": self.task.identity(),
            "seed": settings.seed,
            "protocol": plan.protocol.identity(),
            "architecture": asdict(plan.architecture),
            "computation": {
                **self.computation.identity(),
                "deterministic": settings.computation.deterministic,
                "augment_on_host": augment_on_host(settings.computation),
            },
        }

    def description(self) -> Description:
        """The description to be saved with the weights."""
        plan, task = self.plan, self.task
        return Description(
            plan.kind,
            plan.architecture,
            plan.label_set,
            plan.manifest.window,
            task.mean_hu,
            task.sd_hu,
            plan.manifest.fingerprint,
            plan.manifest.roi,
            task.class_weights,
            self._trained_on(),
        )

    def _trained_on(self) -> TrainedOn | None:
        cases = {*self.split.training, *self.split.validation}
        typed = self.plan.label_set.has_types
        now = self.plan.manifest.trained_on(cases, typed=typed)
        if self.before is None:
            return now
        earlier = self.before.trained_on
        return now.after(earlier) if now and earlier else None

    def network(self) -> keras.Model:
        """The network with its initial weights, on the devices of the job."""
        plan, computation = self.plan, self.computation
        with computation.replicas.scope():
            return unet.build(
                plan.architecture, plan.settings.seed, precision=computation.precision
            )

    def data(self, cache_mb: float) -> TrainingData:
        """Training and validation batches.

        Args:
          cache_mb: Memory for the slices of both parts; validation gets what training leaves. It
            does not affect the weights.
        """
        split = self.split

        @cache
        def training() -> BatchSource:
            sampling = self.plan.settings.sampling.resolved()
            return self._source(split.training, self.plan.ranges, sampling, cache_mb)

        @cache
        def validation() -> BatchSource:
            left_mb = cache_mb - training().held_mb
            return self._source(split.validation, None, EVERYTHING, left_mb)

        return TrainingData(
            lambda size: training().with_batch_size(size),
            lambda size: validation().with_batch_size(size),
        )

    def _source(
        self, cases: tuple[str, ...], ranges: Ranges | None, sampling: Sampling, cache_mb: float
    ) -> BatchSource:
        plan, settings = self.plan, self.plan.settings
        image_size = plan.architecture.image_size
        return BatchSource(
            Slices(settings.records, plan.manifest, cases, image_size, plan.mapping),
            batch_size=1,
            seed=settings.seed,
            ranges=ranges,
            sampling=sampling,
            cache_mb=cache_mb,
            augment_on_host=augment_on_host(settings.computation),
        )


#: The set-up of the last run, by what it depends on; see ``carry_out``.
SharedSetup = dict[str, tuple[TrainingSetup, list[Any]]]


def carry_out(
    job: Job,
    folder: Path,
    *,
    shared: SharedSetup | None = None,
    more_identity: dict[str, Any] | None = None,
    prepare: Callable[[keras.Model], None] = lambda model: None,
    earlier_data: tuple[SplitPart, ...] = (),
) -> None:
    """Start or resume the run in ``folder`` and train until it is finished.

    Args:
      shared: Kept by the caller between runs of one process. Runs that differ in their protocol
        only then use the same network, slices in memory and compiled steps, with the same result.
      more_identity: Added to the job's identity.
      prepare: Sets the initial weights; not called for a finished run.
      earlier_data: Data on which these weights were trained; added to the run's ``seen.json``.

    Raises:
      Refusal: Another process uses the folder, it holds another run, or a shard differs from its
        manifest.
      TrainingStopped: Training cannot continue.
    """
    settings, replicas = job.plan.settings, job.computation.replicas
    with contextlib.ExitStack() as lock:
        replicas.from_chief(lambda: _lock(folder, lock))
        identity = job.identity() | (more_identity or {})
        replicas.demand_same(identity, "arguments and data")
        if replicas.from_chief(lambda: _open(job, folder, identity, earlier_data)):
            print(f"{folder}: already finished, nothing to do")
            return
        print(job.plan.text(), flush=True)
        check_shards(settings.records, job.plan.manifest)
        setup = _setup(job, {} if shared is None else shared)
        replicas.from_chief(lambda: prepare(setup.model))
        replicas.spread(setup.model)
        train_protocol(setup, job.plan.protocol, folder, identity, job.description())
        print(f"{folder}: finished")


def _setup(job: Job, shared: SharedSetup) -> TrainingSetup:
    """What the job trains with, its network with initial weights; shared if there is one."""
    settings = job.plan.settings
    without_protocol = {**job.identity(), "protocol": None, "pictures": settings.pictures}
    key = json.dumps([without_protocol, str(settings.records)], sort_keys=True)
    if key not in shared:
        shared.clear()
        model = job.network()
        setup = TrainingSetup(
            model=model,
            task=job.task,
            label_set=job.plan.label_set,
            data=job.data(settings.cache_mb),
            steps=CompiledSteps(model, job.task, job.computation),
            replicas=job.computation.replicas,
            images=settings.pictures,
        )
        shared[key] = setup, model.get_weights()
    setup, initial = shared[key]
    setup.model.set_weights(initial)
    return setup


def _lock(folder: Path, lock: contextlib.ExitStack) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lock.enter_context(locked_folder(folder))


def _open(
    job: Job, folder: Path, identity: dict[str, Any], earlier_data: tuple[SplitPart, ...]
) -> bool:
    """Write or check ``run.json`` and ``seen.json``; return whether the run is finished."""
    versions = {"liver_tf": __version__, "tensorflow": tf.__version__, "keras": keras.__version__}
    caution = open_run(folder, identity, versions, job.plan.settings.given)
    if caution:
        print(f"note: {caution}")
    save_training_cases(folder, job.plan.kind, job.plan.manifest, job.split, earlier_data)
    return is_finished(folder)

"""A training job: from a record set and a split to a run that is carried out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path

import keras
import tensorflow as tf

from liver_tf import __version__
from liver_tf.folder_lock import locked_folder
from liver_tf.labels import LIVER_ONLY, LabelSet
from liver_tf.model import unet
from liver_tf.model.architecture import Architecture
from liver_tf.model.description import Description
from liver_tf.model.freezing import parameter_counts
from liver_tf.pipeline.augmentation_ranges import Ranges
from liver_tf.pipeline.batches import BatchSource
from liver_tf.pipeline.sampling import EVERYTHING, Sampling
from liver_tf.pipeline.slices import Slices
from liver_tf.records import case_statistics, leakage
from liver_tf.records.folds import Split
from liver_tf.records.manifest import Manifest
from liver_tf.records.shards import check_shards
from liver_tf.refusals import Refusal
from liver_tf.training import run
from liver_tf.training.computation import Computation, augment_on_host
from liver_tf.training.leak_check import note_seen
from liver_tf.training.protocol import Protocol, plan
from liver_tf.training.run import Part
from liver_tf.training.step import Task
from liver_tf.training.training_settings import TrainingSettings


def label_map(source: LabelSet, kind: str) -> tuple[tuple[int, ...], LabelSet]:
    """Labels that a network learns, and their set: to the liver network a lesion is liver."""
    if kind == "liver":
        return (0, *([1] * (len(source) - 1))), LIVER_ONLY
    return tuple(range(len(source))), source


def task_of(
    manifest: Manifest, cases: tuple[str, ...], mapping: tuple[int, ...], *, weighted: bool = True
) -> Task:
    """Standardisation and loss weights from the training cases alone.

    ``weighted``: by the inverse of each class's share of pixels (the paper's), else all 1.
    Raises ``Refusal`` where the training cases have no liver.
    """
    wanted = set(cases)
    total = case_statistics.total(e.statistics for e in manifest.cases if e.case in wanted)
    pixels = [0] * (max(mapping) + 1)
    for label, count in enumerate(total.class_pixels):
        pixels[mapping[label]] += count
    try:
        mean, sd = case_statistics.liver_mean_sd(total)
    except ValueError as error:
        raise Refusal(
            "no-liver",
            None,
            expected="training cases with liver",
            found=str(error),
            remedy="Check the labels with data_prep.verify.",
        ) from None
    weights = case_statistics.class_weights(pixels) if weighted else (1.0,) * len(pixels)
    return Task(mean, sd, weights, manifest.window)


@dataclass(frozen=True)
class TrainingPlan:
    """A training before it is known which patients train.

    Attributes:
      kind: ``liver`` or ``lesion``.
      mapping, label_set: Of ``label_map``.
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
        """The cycles as a table, and a sentence on what an epoch shows."""
        parameters = parameter_counts(unet.build(self.architecture))
        sampling = self.settings.sampling.resolved()
        return f"{plan(self.protocol, parameters)}\n{sampling.in_words()}"

    def job(self, split: Split, computation: Computation) -> Job:
        """The training of a split; raises ``Refusal`` if its training cases have no liver."""
        weighted = self.settings.sampling.weighted_loss
        return Job(
            kind=self.kind,
            records=self.settings.records,
            manifest=self.manifest,
            split=split,
            mapping=self.mapping,
            label_set=self.label_set,
            task=task_of(self.manifest, split.training, self.mapping, weighted=weighted),
            architecture=self.architecture,
            protocol=self.protocol,
            ranges=self.ranges,
            sampling=self.settings.sampling.resolved(),
            seed=self.settings.seed,
            computation=computation,
            cache_mb=self.settings.cache_mb,
            augment_on_host=augment_on_host(self.settings.computation),
            deterministic=self.settings.computation.deterministic,
        )


def make_plan(
    settings: TrainingSettings,
    kind: str,
    manifest: Manifest,
    architecture: Architecture,
    protocol: Protocol,
) -> TrainingPlan:
    """The plan of a training on the records of a manifest.

    Args:
      architecture: Its number of classes is replaced by that of the records.

    Raises:
      OptionError: The augmentation does not fit the labels.
    """
    mapping, label_set = label_map(manifest.label_set, kind)
    return TrainingPlan(
        settings=settings,
        kind=kind,
        manifest=manifest,
        mapping=mapping,
        label_set=label_set,
        architecture=replace(architecture, classes=len(label_set)),
        protocol=protocol,
        ranges=settings.augmentation.for_labels(label_set),
    )


@dataclass(frozen=True)
class Job:
    """A training to be carried out: data, network, protocol and everything random.

    Attributes:
      kind: ``liver`` or ``lesion``. records, manifest, split: the data and who trains on them.
      mapping, label_set: of ``label_map``.
      sampling: of the training part. cache_mb: for both parts together; decides no weights.
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
        """Everything that decides the run's weights."""
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
        """What travels with the weights."""
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
        """The network with fresh weights, where the computation wants it."""
        with self.computation.replicas.scope():
            precision = self.computation.precision
            return unet.build(self.architecture, self.seed, precision=precision)

    def part(self) -> Part:
        """Training and validation batches, made when they are first asked for."""

        @cache
        def training() -> BatchSource:
            return self._source("training", self.ranges, self.sampling, self.cache_mb)

        @cache
        def validation() -> BatchSource:
            # What the training slices leave.
            return self._source("validation", None, EVERYTHING, self.cache_mb - training().held_mb)

        return Part(
            lambda size: training().with_batch_size(size),
            lambda size: validation().with_batch_size(size),
        )

    def _source(
        self, part: str, ranges: Ranges | None, sampling: Sampling, cache_mb: float
    ) -> BatchSource:
        slices = Slices(
            self.records,
            self.manifest,
            getattr(self.split, part),
            self.architecture.image_size,
            self.mapping,
        )
        return BatchSource(
            slices,
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
    """Begin a run in ``folder`` or go on with it, until it is finished.

    ``prepare`` sets the weights from which the first cycle starts; it is called only if there is
    something left to train. ``seen_before`` is what the starting weights were trained on; it goes
    into the run's ``seen.json`` with its own cases. Raises ``Refusal`` where another process works
    in the folder, where it holds another run, or a shard differs from its manifest, and
    ``TrainingStopped`` where training cannot go on.
    """
    with contextlib.ExitStack() as held:
        job.computation.replicas.from_chief(partial(_hold, folder, held))
        _carry_out(job, folder, more_identity or {}, prepare, seen_before, pictures)


def _hold(folder: Path, held: contextlib.ExitStack) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    held.enter_context(locked_folder(folder))


def _carry_out(job: Job, folder: Path, more_identity, prepare, seen_before, pictures) -> None:
    replicas = job.computation.replicas
    identity = job.identity() | more_identity
    replicas.demand_same(identity, "arguments and data")
    caution = replicas.from_chief(partial(run.open_run, folder, identity, _versions()))
    if caution and replicas.is_chief:
        print(f"note: {caution}")
    replicas.from_chief(partial(note_seen, folder, job.kind, job.manifest, job.split, seen_before))
    if replicas.from_chief(partial(run.is_finished, folder)):
        print(f"{folder}: finished before, nothing to do")
        return
    check_shards(job.records, job.manifest)
    model = job.network()
    replicas.from_chief(partial(prepare, model))
    replicas.spread(model)
    run.train(
        folder,
        job.protocol,
        model,
        job.description(),
        job.part(),
        job.task,
        identity,
        computation=job.computation,
        pictures=pictures,
    )
    print(f"{folder}: finished")


def _versions() -> dict[str, str]:
    return {"liver_tf": __version__, "tensorflow": tf.__version__, "keras": keras.__version__}


def check_transfer(before: Description, manifest: Manifest, pretrained: Path) -> None:
    """Refuse pre-trained weights that do not fit the records.

    A liver network goes on with whole slices of any label set (a lesion is liver to it), a lesion
    network with ROIs of any label set that has lesions. Raises ``Refusal`` for anything else, and
    for another window.
    """
    wanted = {"liver": "a set of whole slices", "lesion": "an ROI set (data_prep.make_rois)"}
    found = wanted["lesion" if manifest.roi else "liver"]
    if found != wanted[before.kind]:
        raise Refusal(
            "other-task",
            pretrained,
            expected=f"for a {before.kind} network {wanted[before.kind]}",
            found=found,
            remedy="Check --pretrained and --records.",
        )
    if before.kind == "lesion" and not manifest.label_set.lesions:
        raise Refusal(
            "no-lesion-classes",
            pretrained,
            expected="for a lesion network records with classes of lesions",
            found=f"the label set {', '.join(manifest.label_set.classes)}",
            remedy="Fine-tune the liver network on whole slices instead.",
        )
    if before.window != manifest.window:
        raise Refusal(
            "window-differs",
            pretrained,
            expected=f"records with the window {list(before.window)} HU of the pre-training",
            found=f"{list(manifest.window)} HU",
            remedy="Convert the slices again with that window.",
        )

"""A training job: from a record set and a split to a run that is carried out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import keras

from liver_tf.labels import LIVER_ONLY, LabelSet
from liver_tf.model.description import Description
from liver_tf.model.unet import Architecture
from liver_tf.pipeline.augment import Ranges
from liver_tf.pipeline.batches import BatchSource, Slices
from liver_tf.records import leakage, statistics
from liver_tf.records.folds import Split
from liver_tf.records.manifest import Manifest
from liver_tf.records.shards import check_shards
from liver_tf.refusals import Refusal
from liver_tf.training import run
from liver_tf.training.protocol import Protocol
from liver_tf.training.run import Part
from liver_tf.training.step import Task
from trainers.leak_check import note_seen


def label_map(source: LabelSet, kind: str) -> tuple[tuple[int, ...], LabelSet]:
    """Labels that a network learns, and their set: to the liver network a lesion is liver."""
    if kind == "liver":
        return (0, *([1] * (len(source) - 1))), LIVER_ONLY
    return tuple(range(len(source))), source


def task_of(manifest: Manifest, cases: tuple[str, ...], mapping: tuple[int, ...]) -> Task:
    """Standardisation and loss weights from the training cases alone.

    Raises ``Refusal`` where the training cases have no liver.
    """
    wanted = set(cases)
    total = statistics.total(e.statistics for e in manifest.cases if e.case in wanted)
    pixels = [0] * (max(mapping) + 1)
    for label, count in enumerate(total.class_pixels):
        pixels[mapping[label]] += count
    try:
        mean, sd = statistics.liver_mean_sd(total)
    except ValueError as error:
        raise Refusal(
            "no-liver",
            None,
            expected="training cases with liver",
            came=str(error),
            remedy="Check the labels with data_prep.verify.",
        ) from None
    return Task(mean, sd, statistics.class_weights(pixels), manifest.window)


@dataclass(frozen=True)
class Job:
    """A training to be carried out: data, network, protocol and everything random.

    Attributes:
      kind: ``liver`` or ``lesion``. records, manifest, split: the data and who trains on them.
      mapping, label_set: of ``label_map``.
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
    seed: int

    def identity(self) -> dict:
        """Everything that decides the run's weights."""
        return {
            "data_fingerprint": self.manifest.fingerprint,
            "split": asdict(self.split),
            "augmentation": asdict(self.ranges),
            "task": asdict(self.task),
            "seed": self.seed,
            "protocol": asdict(self.protocol),
            "architecture": asdict(self.architecture),
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

    def part(self, cache_mb: int, augment_on_host: bool) -> Part:
        """Training and validation batches, made when they are first asked for."""
        made: dict[tuple[str, int], BatchSource] = {}

        def source(part: str, batch_size: int) -> BatchSource:
            key = (part, batch_size)
            if key not in made:
                made[key] = BatchSource(
                    Slices(
                        self.records,
                        self.manifest,
                        getattr(self.split, part),
                        self.architecture.image_size,
                        self.mapping,
                    ),
                    batch_size=batch_size,
                    seed=self.seed,
                    ranges=self.ranges if part == "training" else None,
                    cache_mb=cache_mb,
                    augment_on_host=augment_on_host,
                )
            return made[key]

        return Part(lambda size: source("training", size), lambda size: source("validation", size))


def carry_out(
    job: Job,
    folder: Path,
    model: keras.Model,
    *,
    more_identity: dict | None = None,
    prepare: Callable[[], None] = lambda: None,
    seen_before: tuple[leakage.Part, ...] = (),
    cache_mb: int,
    augment_on_host: bool,
) -> None:
    """Begin a run in ``folder`` or go on with it, until it is finished.

    ``prepare`` sets the weights from which the first cycle starts; it is called only if there is
    something left to train. ``seen_before`` is what the starting weights were trained on; it goes
    into the run's ``seen.json`` with its own cases. Raises ``Refusal`` where the folder holds
    another run, or a shard differs from its manifest.
    """
    identity = job.identity() | (more_identity or {})
    run.open_run(folder, identity)
    note_seen(folder, job.kind, job.manifest, job.split, seen_before)
    if run.is_finished(folder):
        print(f"{folder}: finished before, nothing to do")
        return
    check_shards(job.records, job.manifest)
    prepare()
    run.train(
        folder,
        job.protocol,
        model,
        job.description(),
        job.part(cache_mb, augment_on_host),
        job.task,
        identity,
    )
    print(f"{folder}: finished")


def check_transfer(before: Description, manifest: Manifest, pretrained: Path) -> None:
    """Refuse pre-trained weights that do not fit the records.

    Raises ``Refusal`` for a liver network, for whole slices, and for another window.
    """
    if before.kind != "lesion" or manifest.roi is None:
        raise Refusal(
            "not-a-lesion-task",
            pretrained,
            expected="a lesion network and an ROI record set (data_prep.make_rois)",
            came=f"a {before.kind} network and "
            f"{'an ROI set' if manifest.roi else 'a set of whole slices'}",
            remedy="Check --pretrained and --records.",
        )
    if before.window != manifest.window:
        raise Refusal(
            "window-differs",
            pretrained,
            expected=f"records with the window {list(before.window)} HU of the pre-training",
            came=f"{list(manifest.window)} HU",
            remedy="Convert the slices again with that window.",
        )

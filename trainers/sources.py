"""Batch sources, standardisation and loss weights of a run, from its record set and split."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from liver_tf.labels import LIVER_ONLY, LabelSet
from liver_tf.model.description import Description
from liver_tf.model.unet import Architecture
from liver_tf.pipeline.augment import Ranges
from liver_tf.pipeline.batches import BatchSource, Slices
from liver_tf.records import statistics
from liver_tf.records.folds import Split
from liver_tf.records.manifest import Manifest
from liver_tf.refusals import Refusal
from liver_tf.training.protocol import Protocol
from liver_tf.training.run import Part
from liver_tf.training.step import Task


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


def parts_of(
    folder: Path,
    manifest: Manifest,
    split: Split,
    mapping: tuple[int, ...],
    *,
    image_size: int,
    seed: int,
    ranges: Ranges,
    cache_mb: int,
    augment_on_host: bool,
) -> Part:
    """Training and validation batches, made when they are first asked for."""
    made: dict[tuple[str, int], BatchSource] = {}

    def source(part: str, batch_size: int) -> BatchSource:
        key = (part, batch_size)
        if key not in made:
            made[key] = BatchSource(
                Slices(folder, manifest, getattr(split, part), image_size, mapping),
                batch_size=batch_size,
                seed=seed,
                ranges=ranges if part == "training" else None,
                cache_mb=cache_mb,
                augment_on_host=augment_on_host,
            )
        return made[key]

    return Part(lambda size: source("training", size), lambda size: source("validation", size))


def identity_of(
    manifest: Manifest, split: Split, ranges: Ranges, task: Task, seed: int, **more
) -> dict:
    """Everything about the data and the randomness that decides a run's weights."""
    return {
        "data_fingerprint": manifest.fingerprint,
        "split": asdict(split),
        "augmentation": asdict(ranges),
        "task": asdict(task),
        "seed": seed,
        **more,
    }


def protocol_identity(protocol: Protocol, architecture: Architecture) -> dict:
    """The protocol and the network's shape, as they enter a run's identity."""
    return {"protocol": asdict(protocol), "architecture": asdict(architecture)}


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

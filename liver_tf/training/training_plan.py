"""A training as its settings describe it, before the patients are split."""

from __future__ import annotations

from dataclasses import dataclass, replace

from liver_tf.labels import LabelSet
from liver_tf.model import unet
from liver_tf.model.architecture import Architecture
from liver_tf.model.block_weights import parameter_counts
from liver_tf.pipeline.augmentation.ranges import Ranges
from liver_tf.records.folds import Split
from liver_tf.records.manifest import Manifest
from liver_tf.training.computation import Computation, augment_on_host
from liver_tf.training.job import Job
from liver_tf.training.protocol import Protocol, protocol_table
from liver_tf.training.task import label_map, task_of
from liver_tf.training.training_settings import TrainingSettings


@dataclass(frozen=True)
class TrainingPlan:
    """A training before its patients are split.

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
        return f"{protocol_table(self.protocol, parameters)}\n{sampling.in_words()}"

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

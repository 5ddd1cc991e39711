"""What is trained, before the patients are split: network, labels, protocol, augmentation."""

from __future__ import annotations

from dataclasses import dataclass, replace

from liver_tf.labels import LabelSet
from liver_tf.model import unet
from liver_tf.model.architecture import Architecture
from liver_tf.model.block_weights import parameter_counts
from liver_tf.pipeline.augmentation.ranges import Ranges
from liver_tf.records.manifest import Manifest
from liver_tf.training.protocol import Protocol, protocol_table
from liver_tf.training.task import label_map
from liver_tf.training.training_settings import TrainingSettings


@dataclass(frozen=True)
class TrainingPlan:
    """A training on the records of a manifest.

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
        """The cycles as a table, and a sentence on what an epoch shows."""
        parameters = parameter_counts(unet.build(self.architecture))
        sampling = self.settings.sampling.resolved()
        return f"{protocol_table(self.protocol, parameters)}\n{sampling.in_words()}"


def make_plan(
    settings: TrainingSettings,
    kind: str,
    manifest: Manifest,
    architecture: Architecture,
    protocol: Protocol,
) -> TrainingPlan:
    """Make the plan of a training.

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

"""What a dry run assumes in place of records and of a pre-trained run that do not exist yet."""

from pathlib import Path

from liver_tf.ct.window import DEFAULT_WINDOW
from liver_tf.labels import LESION_TYPES, LITS, LIVER_ONLY, LabelSet
from liver_tf.model.architecture import Architecture
from liver_tf.model.description import Description, load_description
from liver_tf.records.manifest import Manifest, load_manifest
from liver_tf.refusals import Refusal
from liver_tf.training.protocol import PRETRAINED


def records_or_assumed(
    folder: Path, kind: str, label_set: LabelSet, window: tuple[int, int] = DEFAULT_WINDOW
) -> Manifest:
    """The manifest of a record set; without one, that of a set for a liver or a lesion network.

    Raises:
      Refusal: The record set exists and cannot be used.
    """
    try:
        return load_manifest(folder)
    except Refusal as refusal:
        if refusal.code != "no-manifest":
            raise
    classes = ", ".join(label_set.classes)
    print(f"assumed: records with the classes {classes}; {folder} holds no record set")
    return Manifest(label_set, window, (), roi={"rule": {}} if kind == "lesion" else None)


def transfer_or_assumed(
    pretrained: Path, records: Path, base_filters: int | None, start: str = PRETRAINED
) -> tuple[Description, Manifest]:
    """The description of a pre-trained run, and the manifest of the records to fine-tune it on.

    What is missing is assumed to fit the other; without both, a lesion network and lesion types.

    Args:
      base_filters: Of the pre-trained network; a number is assumed even if there is a run.
      start: Initial weights; from scratch, only the architecture is that of a pre-trained network.

    Raises:
      Refusal: One of them exists and cannot be used.
    """
    missing = ""
    if base_filters is None:
        try:
            before = load_description(pretrained)
            labels = LESION_TYPES if before.kind == "lesion" else LITS
            return before, records_or_assumed(records, before.kind, labels, before.window)
        except Refusal as refusal:
            if refusal.code != "no-model":
                raise
            role = "" if start == PRETRAINED else ", whose architecture is used,"
            missing = f"; {pretrained}{role} holds no finished run"
    manifest = records_or_assumed(records, "lesion", LESION_TYPES)
    kind, labels = ("lesion", LITS) if manifest.roi else ("liver", LIVER_ONLY)
    architecture = Architecture(base_filters=base_filters or Architecture.base_filters)
    network = f"{kind} network with {architecture.base_filters} channels in its first block"
    network = f"pre-trained {network}" if start == PRETRAINED else f"new {network}"
    print(f"assumed: a {network} (--base_filters){missing}")
    middle = sum(manifest.window) / 2
    before = Description(kind, architecture, labels, manifest.window, middle, 1.0, "", manifest.roi)
    return before, manifest

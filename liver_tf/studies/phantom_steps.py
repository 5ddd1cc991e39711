"""Steps that the demo and the phantom study share: phantoms, record sets, pre-training, ROIs.

Each function takes the chain's folder; the steps write to its ``data/``, ``tfrecords/`` and
``runs/``.
"""

from __future__ import annotations

from pathlib import Path

from liver_tf.studies.command_chain import ChainStep

#: Marks the figures of the reports as figures of phantoms.
DATA_LABEL = "PHANTOM data (not patients)"


def phantom_step(folder: Path, seconds: float, **size: int) -> ChainStep:
    """Write the phantoms; ``size``: flags of ``data_prep.phantom``."""
    title = "write a phantom LiTS and a phantom Sheba set"
    options = {"output": folder / "data", **size}
    product = folder / "data" / "phantom.json"
    return ChainStep("phantom", title, seconds, "data_prep.phantom", options, product)


def conversion_steps(folder: Path, seconds: float) -> list[ChainStep]:
    """Convert both sets, each in ``seconds``; typed slices are assigned to folds by patient."""
    steps = []
    for name, source, files, title in (
        ("lits", "lits", "lits", "convert the volumes"),
        ("sheba", "slices", "sheba/slices.csv", "convert the slices"),
    ):
        output = folder / "tfrecords" / name
        options = {"source": source, "input": folder / "data" / files, "output": output}
        command = f"build_{name}", title, seconds, "data_prep.build_tfrecords", options
        steps.append(ChainStep(*command, output / "manifest.json"))
    return steps


def pretraining_steps(
    folder: Path, flag_files: Path, *, liver_s: float, roi_s: float, lesion_s: float
) -> list[ChainStep]:
    """Train the liver network, cut ROIs of both sets with it, pre-train the lesion network.

    Args:
      folder: of the chain.
      flag_files: folder with ``liver.flags`` and ``lesion.flags``.
      liver_s, roi_s, lesion_s: seconds of each step.
    """
    lesion_title = "pre-train the lesion network (background, liver, lesion)"
    return [
        _pretrain("liver", "train the liver network", liver_s, folder, flag_files, "lits"),
        *(_cut_rois(name, roi_s, folder) for name in ("lits", "sheba")),
        _pretrain("lesion", lesion_title, lesion_s, folder, flag_files, "lits_roi"),
    ]


def _pretrain(
    network: str, title: str, seconds: float, folder: Path, flag_files: Path, records: str
) -> ChainStep:
    run = folder / "runs" / network
    options = {
        "flagfile": flag_files / f"{network}.flags",
        "records": folder / "tfrecords" / records,
        "run": run,
    }
    command = f"pretrain_{network}", title, seconds, "trainers.pretrain", options
    return ChainStep(*command, run / "weights.npz")


def _cut_rois(name: str, seconds: float, folder: Path) -> ChainStep:
    title = f"cut ROIs around the predicted liver: {name}"
    records, liver_run = folder / "tfrecords", folder / "runs" / "liver"
    output = records / f"{name}_roi"
    options = {"input": records / name, "liver_run": liver_run, "output": output}
    product = output / "manifest.json"
    return ChainStep(f"rois_{name}", title, seconds, "data_prep.make_rois", options, product)

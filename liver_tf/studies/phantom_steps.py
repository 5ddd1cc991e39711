"""Steps that the demo and the phantom study share: phantoms, record sets, pre-training, ROIs.

Each function takes the chain's folder, which gets ``data/``, ``tfrecords/`` and ``runs/``.
"""

from __future__ import annotations

from pathlib import Path

from liver_tf.studies.command_chain import ChainStep

#: Marks the figures of the reports as figures of phantoms.
DATA_LABEL = "PHANTOM data (not patients)"


def phantom_step(folder: Path, seconds: float, **size: int) -> ChainStep:
    """Write the phantoms; ``size``: flags of ``data_prep.phantom``."""
    return ChainStep(
        "phantom",
        "write a phantom LiTS and a phantom Sheba set",
        seconds,
        "data_prep.phantom",
        {"output": folder / "data", **size},
        f"{folder}/data/phantom.json",
    )


def conversion_steps(folder: Path, seconds: float) -> list[ChainStep]:
    """Convert both sets, each in ``seconds``; typed slices are assigned to folds by patient."""
    data, records = folder / "data", folder / "tfrecords"
    return [
        ChainStep(
            f"build_{name}",
            title,
            seconds,
            "data_prep.build_tfrecords",
            {"source": source, "input": files, "output": records / name},
            f"{records}/{name}/manifest.json",
        )
        for name, source, files, title in (
            ("lits", "lits", data / "lits", "convert the volumes"),
            ("sheba", "slices", data / "sheba" / "slices.csv", "convert the slices"),
        )
    ]


def pretraining_steps(
    folder: Path, flag_files: Path, *, liver_s: float, roi_s: float, lesion_s: float
) -> list[ChainStep]:
    """Train the liver network, cut ROIs of both sets with it, pre-train the lesion network.

    Args:
      folder: of the chain.
      flag_files: folder with ``liver.flags`` and ``lesion.flags``.
      liver_s, roi_s, lesion_s: seconds of each step.
    """
    records, runs = folder / "tfrecords", folder / "runs"
    roi_steps = [
        ChainStep(
            f"rois_{name}",
            f"cut ROIs around the predicted liver: {name}",
            roi_s,
            "data_prep.make_rois",
            {
                "input": records / name,
                "liver_run": runs / "liver",
                "output": records / f"{name}_roi",
            },
            f"{records}/{name}_roi/manifest.json",
        )
        for name in ("lits", "sheba")
    ]
    return [
        _pretrain("liver", "train the liver network", liver_s, flag_files, records / "lits", runs),
        *roi_steps,
        _pretrain(
            "lesion",
            "pre-train the lesion network (background, liver, lesion)",
            lesion_s,
            flag_files,
            records / "lits_roi",
            runs,
        ),
    ]


def _pretrain(
    network: str, title: str, seconds: float, flag_files: Path, records: Path, runs: Path
) -> ChainStep:
    return ChainStep(
        f"pretrain_{network}",
        title,
        seconds,
        "trainers.pretrain",
        {"flagfile": flag_files / f"{network}.flags", "records": records, "run": runs / network},
        f"{runs}/{network}/weights.npz",
    )

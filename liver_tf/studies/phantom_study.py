"""The phantom study: the paper's comparison on phantoms, from phantom generation to the report.

The demo has some steps in common with it: phantoms, conversion, pre-training. These functions take
the chain's folder; the steps write to its ``data/``, ``tfrecords/`` and ``runs/``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liver_tf.command_line.invocation import show_next
from liver_tf.options import Options, option
from liver_tf.phantom.phantom_plan import PhantomPlan
from liver_tf.studies.command_chain import ChainStep, run_chain
from liver_tf.studies.grid import PROTOCOLS
from liver_tf.trained_on import PHANTOM_LABEL

#: Marks the figures of the reports as figures of phantoms.
DATA_LABEL = PHANTOM_LABEL

#: The neighbours with their true masks: a CSV of the phantom, and its record set.
TRUE_NEIGHBOURS = "true_neighbours"


@dataclass(frozen=True, kw_only=True)
class PhantomStudySettings(Options):
    """Options of the phantom study."""

    folder: Path = option(Path("phantom_study"), "Folder for everything that the study writes.")
    flag_files: Path = option(
        Path("flags/study"), "Folder with liver.flags, lesion.flags and finetune.flags."
    )
    patients: int = option(
        PhantomPlan.patients, "Patients of the typed set; 140 have the paper's 332 slices."
    )
    lits_volumes: int = option(30, "Volumes for pre-training.")
    matrix: int = option(256, "Rows and columns of an image.")
    neighbours: int = option(
        PhantomPlan.neighbours,
        "Unlabelled neighbours of every typed slice, for protocols with --neighbour_labels.",
        low=0,
    )
    protocols: tuple[str, ...] = option(PROTOCOLS, "Protocols, as for liver-tf reproduce.")
    seeds: tuple[str, ...] = option(("0",), "Training seeds.")
    workers: int = option(
        2, "Number of phantoms, and of runs of the study, processed in parallel.", low=1
    )


def run_phantom_study(study: PhantomStudySettings) -> None:
    """Run all steps that are not done."""
    steps = phantom_study_steps(study)
    ran = run_chain(steps, study.folder, "the study")
    print(f"\n{ran.text()} Phantoms, not patients.")
    show_next(f"open {study.folder}/study/report/report.html")


def phantom_study_steps(study: PhantomStudySettings) -> list[ChainStep]:
    """All steps of the study, in order."""
    folder, flag_files = study.folder, study.flag_files
    records, runs = folder / "tfrecords", folder / "runs"
    size = ["patients", "lits_volumes", "matrix", "workers"]
    if study.neighbours:
        size.append("neighbours")
    truth = [_truth_step(folder)] if study.neighbours else []
    return [
        phantom_step(folder, 32, **{name: getattr(study, name) for name in size}),
        *conversion_steps(folder, 12),
        *truth,
        *pretraining_steps(folder, flag_files, liver_s=110, roi_s=12, lesion_s=260),
        ChainStep(
            "reproduce",
            "fine-tune and evaluate every protocol on every fold, and write the report",
            4500,
            "trainers.reproduce",
            {
                "output": folder / "study",
                "settings": flag_files / "finetune.flags",
                "protocols": ",".join(study.protocols),
                "seeds": ",".join(study.seeds),
                "workers": study.workers,
                "records": records / "sheba",
                "roi_records": records / "sheba_roi",
                "folds_file": records / "sheba" / "folds.json",
                "pretrained": runs / "lesion",
                "liver_run": runs / "liver",
                "data_label": DATA_LABEL,
                **({"neighbour_truth": records / TRUE_NEIGHBOURS} if truth else {}),
            },
            folder / "study" / "report" / "report.html",
            always=True,
        ),
    ]


def phantom_step(folder: Path, seconds: float, **size: Any) -> ChainStep:
    """Write the phantoms; ``size``: flags of ``data_prep.phantom``."""
    title = "write a phantom LiTS and a phantom Sheba set"
    options = {"output": folder / "data", **size}
    product = folder / "data" / "phantom.json"
    return ChainStep("phantom", title, seconds, "data_prep.phantom", options, product)


def _truth_step(folder: Path) -> ChainStep:
    """Convert the neighbours with their true masks, by which made labels are measured."""
    output = folder / "tfrecords" / TRUE_NEIGHBOURS
    table = folder / "data" / "sheba" / f"{TRUE_NEIGHBOURS}.csv"
    options = {"source": "slices", "input": table, "output": output, "folds": 1}
    title = "convert the true labels of the neighbours, for measuring only"
    command = f"build_{TRUE_NEIGHBOURS}", title, 12, "data_prep.build_tfrecords", options
    return ChainStep(*command, output / "manifest.json")


def conversion_steps(
    folder: Path, seconds: float, typed: Mapping[str, Any] | None = None
) -> list[ChainStep]:
    """Convert both sets, each in ``seconds``; typed slices are assigned to folds by patient.

    ``typed``: more flags for the typed slices.
    """
    steps = []
    for name, source, files, title in (
        ("lits", "lits", "lits", "convert the volumes"),
        ("sheba", "slices", "sheba/slices.csv", "convert the slices"),
    ):
        output = folder / "tfrecords" / name
        options = {"source": source, "input": folder / "data" / files, "output": output}
        options |= (typed or {}) if name == "sheba" else {}
        command = f"build_{name}", title, seconds, "data_prep.build_tfrecords", options
        steps.append(ChainStep(*command, output / "manifest.json"))
    return steps


def pretraining_steps(
    folder: Path,
    flag_files: Path,
    *,
    liver_s: float,
    roi_s: float,
    lesion_s: float,
    records: Path | None = None,
    **flags: Any,
) -> list[ChainStep]:
    """Train the liver network, cut ROIs of both sets with it, pre-train the lesion network.

    Args:
      folder: for ``runs/`` and the record sets of ROIs, in ``tfrecords/``.
      flag_files: the folder with ``liver.flags`` and ``lesion.flags``.
      records: the record sets of whole slices; None for ``tfrecords/`` in ``folder``.
      flags: more flags of ``trainers.pretrain``.
    """
    rois = folder / "tfrecords"
    records = records or rois
    return [
        pretraining_step(folder, "liver", records / "lits", flag_files, liver_s, **flags),
        roi_step(folder, records / "lits", roi_s),
        roi_step(folder, records / "sheba", roi_s),
        pretraining_step(folder, "lesion", rois / "lits_roi", flag_files, lesion_s, **flags),
    ]


def pretraining_step(
    folder: Path, network: str, records: Path, flag_files: Path, seconds: float, **flags: Any
) -> ChainStep:
    """Train the liver network, or the lesion network before fine-tuning."""
    title = {
        "liver": "train the liver network",
        "lesion": "pre-train the lesion network (background, liver, lesion)",
    }[network]
    run = folder / "runs" / network
    options = {"flagfile": flag_files / f"{network}.flags", "records": records, "run": run, **flags}
    command = f"pretrain_{network}", title, seconds, "trainers.pretrain", options
    return ChainStep(*command, run / "weights.npz")


def roi_step(
    folder: Path, records: Path, seconds: float, liver_run: str | Path | None = None
) -> ChainStep:
    """Cut ROIs around the livers that a network finds; None for the chain's liver network."""
    title = f"cut ROIs around the predicted liver: {records.name}"
    output = folder / "tfrecords" / f"{records.name}_roi"
    liver = liver_run or folder / "runs" / "liver"
    options = {"input": records, "liver_run": liver, "output": output}
    command = f"rois_{records.name}", title, seconds, "data_prep.make_rois", options
    return ChainStep(*command, output / "manifest.json")

"""The phantom study: the paper's comparison on phantoms, from data to report."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from liver_tf.options import Options, option
from liver_tf.phantom.phantom_plan import PhantomPlan
from liver_tf.studies.command_chain import ChainStep, format_duration, run_chain
from liver_tf.studies.grid import PROTOCOLS
from liver_tf.studies.phantom_steps import (
    DATA_LABEL,
    conversion_steps,
    phantom_step,
    pretraining_steps,
)


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
    protocols: tuple[str, ...] = option(PROTOCOLS, "As in trainers.reproduce.")
    seeds: tuple[str, ...] = option(("0",), "As in trainers.reproduce.")
    workers: int = option(2, "Phantoms, and runs of the study, at a time.", low=1)


def run_phantom_study(study: PhantomStudySettings) -> None:
    """Run all steps that are not done."""
    steps = phantom_study_steps(study)
    start = time.monotonic()
    ran = run_chain(steps, study.folder, "the study")
    print(
        f"\n{len(ran)} of {len(steps)} steps ran in {format_duration(time.monotonic() - start)}. "
        f"Phantoms, not patients. Open {study.folder}/study/report/report.html."
    )


def phantom_study_steps(study: PhantomStudySettings) -> list[ChainStep]:
    """All steps of the study, in order."""
    folder, flag_files = study.folder, study.flag_files
    records, runs = folder / "tfrecords", folder / "runs"
    size = {
        name: getattr(study, name) for name in ("patients", "lits_volumes", "matrix", "workers")
    }
    return [
        phantom_step(folder, 32, **size),
        *conversion_steps(folder, 12),
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
            },
            folder / "study" / "report" / "report.html",
            always=True,
        ),
    ]

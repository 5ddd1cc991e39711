"""The phantom study: the paper's comparison on phantoms, from nothing to the report.

The full phantom cohort (332 slices of 140 patients, as many as the paper's), all protocols and
controls, every fold.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from liver_tf.options import Options, option
from liver_tf.studies.command_chain import ChainStep, run_chain
from liver_tf.studies.durations import format_duration
from liver_tf.studies.grid import PROTOCOLS

DATA_LABEL = "PHANTOM data (not patients)"


@dataclass(frozen=True, kw_only=True)
class PhantomStudySettings(Options):
    """Options of the phantom study."""

    folder: Path = option(Path("phantom_study"), "Folder for everything that the study writes.")
    flag_files: Path = option(
        Path("flags/study"), "Folder with liver.flags, lesion.flags and finetune.flags."
    )
    patients: int = option(140, "Patients of the typed set; 140 have the paper's 332 slices.")
    lits_volumes: int = option(30, "Volumes for pre-training.")
    matrix: int = option(256, "Rows and columns of an image.")
    protocols: tuple[str, ...] = option(PROTOCOLS, "As in trainers.reproduce.")
    seeds: tuple[str, ...] = option(("0",), "As in trainers.reproduce.")
    workers: int = option(2, "Phantoms, and runs of the study, at a time.", low=1)


def run_phantom_study(study: PhantomStudySettings) -> None:
    """Run all steps; finished ones are skipped."""
    steps = phantom_study_steps(study)
    start = time.monotonic()
    ran = run_chain(steps, study.folder, "the study")
    print(
        f"\n{len(ran)} of {len(steps)} steps ran in {format_duration(time.monotonic() - start)}. "
        f"Phantoms, not patients. Open {study.folder}/study/report/report.html."
    )


def phantom_study_steps(study: PhantomStudySettings) -> list[ChainStep]:
    """All steps of the study, in order."""
    folder, flag_files, workers = study.folder, study.flag_files, study.workers
    data, records, runs = folder / "data", folder / "tfrecords", folder / "runs"
    liver, protocols = f"--liver_run={runs}/liver", ",".join(study.protocols)
    return [
        ChainStep(
            "phantom",
            "write a phantom LiTS and a phantom Sheba set",
            (
                *("data_prep.phantom", f"--output={data}", f"--patients={study.patients}"),
                *(f"--lits_volumes={study.lits_volumes}", f"--matrix={study.matrix}"),
                f"--workers={workers}",
            ),
            32,
            f"{data}/phantom.json",
        ),
        *(
            ChainStep(
                f"build_{name}",
                f"convert the {source}",
                (
                    *("data_prep.build_tfrecords", f"--source={source}", f"--input={files}"),
                    f"--output={records}/{name}",
                ),
                12,
                f"{records}/{name}/manifest.json",
            )
            for name, source, files in (
                ("lits", "lits", data / "lits"),
                ("sheba", "slices", data / "sheba" / "slices.csv"),
            )
        ),
        ChainStep(
            "pretrain_liver",
            "train the liver network",
            (
                *("trainers.pretrain", f"--flagfile={flag_files}/liver.flags"),
                *(f"--records={records}/lits", f"--run={runs}/liver"),
            ),
            110,
            f"{runs}/liver/weights.npz",
        ),
        *(
            ChainStep(
                f"rois_{name}",
                f"cut ROIs around the predicted liver: {name}",
                (
                    *("data_prep.make_rois", f"--input={records}/{name}", liver),
                    f"--output={records}/{name}_roi",
                ),
                12,
                f"{records}/{name}_roi/manifest.json",
            )
            for name in ("lits", "sheba")
        ),
        ChainStep(
            "pretrain_lesion",
            "pre-train the lesion network (background, liver, lesion)",
            (
                *("trainers.pretrain", f"--flagfile={flag_files}/lesion.flags"),
                *(f"--records={records}/lits_roi", f"--run={runs}/lesion"),
            ),
            260,
            f"{runs}/lesion/weights.npz",
        ),
        ChainStep(
            "reproduce",
            "fine-tune and evaluate every protocol on every fold, and write the report",
            (
                *("trainers.reproduce", f"--output={folder}/study"),
                *(f"--settings={flag_files}/finetune.flags", f"--protocols={protocols}"),
                *(f"--seeds={','.join(study.seeds)}", f"--workers={workers}"),
                *(f"--records={records}/sheba", f"--roi_records={records}/sheba_roi"),
                f"--folds_file={records}/sheba/folds.json",
                *(f"--pretrained={runs}/lesion", liver, f"--data_label={DATA_LABEL}"),
            ),
            4500,
            f"{folder}/study/report/report.html",
            always=True,
        ),
    ]

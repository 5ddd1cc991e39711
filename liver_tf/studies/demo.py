"""The demo: the workflow end to end on phantom data, with the commands that real data need too."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from liver_tf.options import Options
from liver_tf.studies.command_chain import ChainStep, run_chain
from liver_tf.studies.durations import format_duration

PROTOCOLS = ("baseline", "no_freezing", "freeze_encoder", "hier_freeze", "hier_unfreeze")

FOLDER = Path("demo")
RUNS = f"{FOLDER}/runs/finetune/fold0/seed0"


@dataclass(frozen=True)
class DemoSettings(Options):
    """The demo has no options."""


def run_demo() -> None:
    """Run all steps below ``demo/``, then print the results; finished steps are skipped."""
    steps = demo_steps()
    start = time.monotonic()
    ran = run_chain(steps, FOLDER, "the demo")
    if "evaluate" not in ran:
        print("\n" + (FOLDER / "report" / "table.txt").read_text(encoding="utf-8"))
    print(
        "\nOne fold, one seed, phantoms. The hierarchical protocols train for more cycles than the "
        "others;\nthe effect of their order shows only in comparison with the controls of equal "
        "length\n(no_freezing_5_cycles.flags, no_freezing_6_cycles.flags): see docs/fine-tuning.md."
    )
    print(
        f"\n{len(ran)} of {len(steps)} steps ran in {format_duration(time.monotonic() - start)}. "
        f"Open {FOLDER}/report/report.html, {FOLDER}/predicted/scan-001 and {FOLDER}/answer.png."
    )


def demo_steps() -> list[ChainStep]:
    """All steps of the demo, in order."""
    data, records, new = f"{FOLDER}/data", f"{FOLDER}/tfrecords", f"{FOLDER}/new_patients"
    liver = f"--liver_run={FOLDER}/runs/liver"
    lits, slices = f"--input={data}/lits", f"--input={data}/sheba/slices.csv"
    table = f"--output={FOLDER}/report"
    runs = [f"--run={RUNS}/{protocol}" for protocol in PROTOCOLS]
    return [
        ChainStep(
            "phantom",
            "write a phantom LiTS and a phantom Sheba set",
            (
                *("data_prep.phantom", f"--output={data}", "--lits_volumes=20"),
                *("--patients=90", "--matrix=256", "--workers=2"),
            ),
            20,
            f"{data}/phantom.json",
        ),
        ChainStep(
            "phantom_new",
            "write scans of patients outside the training data",
            (
                *("data_prep.phantom", f"--output={new}", "--seed=1", "--lits_volumes=1"),
                *("--patients=6", "--matrix=256", "--workers=2"),
            ),
            5,
            f"{new}/phantom.json",
        ),
        ChainStep(
            "verify_lits", "check the volumes", ("data_prep.verify", "--source=lits", lits), 5
        ),
        ChainStep(
            "verify_sheba", "check the slices", ("data_prep.verify", "--source=slices", slices), 3
        ),
        ChainStep(
            "build_lits",
            "convert the volumes",
            ("data_prep.build_tfrecords", "--source=lits", lits, f"--output={records}/lits"),
            8,
            f"{records}/lits/manifest.json",
        ),
        ChainStep(
            "build_sheba",
            "convert the slices and assign patients to folds",
            ("data_prep.build_tfrecords", "--source=slices", slices, f"--output={records}/sheba"),
            7,
            f"{records}/sheba/manifest.json",
        ),
        ChainStep(
            "pretrain_liver",
            "train the liver network",
            ("trainers.pretrain", "--flagfile=flags/demo/liver.flags"),
            48,
            f"{FOLDER}/runs/liver/weights.npz",
        ),
        *(
            ChainStep(
                f"rois_{name}",
                f"cut ROIs around the predicted liver: {name}",
                (
                    *("data_prep.make_rois", f"--input={records}/{name}", liver),
                    f"--output={records}/{name}_roi",
                ),
                8,
                f"{records}/{name}_roi/manifest.json",
            )
            for name in ("lits", "sheba")
        ),
        ChainStep(
            "pretrain_lesion",
            "pre-train the lesion network (background, liver, lesion)",
            ("trainers.pretrain", "--flagfile=flags/demo/lesion.flags"),
            105,
            f"{FOLDER}/runs/lesion/weights.npz",
        ),
        *(
            ChainStep(
                f"finetune_{protocol}",
                f"fine-tune on lesion types: {protocol}",
                (
                    *("trainers.finetune", f"--flagfile={protocol}.flags"),
                    "--flagfile=flags/demo/finetune.flags",
                ),
                seconds,
                f"{RUNS}/{protocol}/weights.npz",
            )
            for protocol, seconds in zip(PROTOCOLS, (25, 23, 21, 60, 78), strict=True)
        ),
        ChainStep(
            "choose_postprocessing",
            "choose threshold, hole filling and minimum lesion size on the validation patients",
            ("trainers.choose_postprocessing", *runs, liver, f"--records={records}/sheba"),
            25,
            f"{RUNS}/{PROTOCOLS[-1]}/postprocessing.json",
        ),
        ChainStep(
            "evaluate",
            "evaluate all protocols on the test patients",
            (
                *("trainers.evaluate", *runs, liver, f"--records={records}/sheba", table),
                "--data_label=PHANTOM data (not patients)",
            ),
            25,
            f"{FOLDER}/report/table.txt",
        ),
        ChainStep(
            "predict",
            "predict the lesions of a volume and their types",
            (
                *("trainers.predict", f"--model={RUNS}/hier_unfreeze", liver),
                *(f"--input={new}/lits/volume-0.nii.gz", f"--output={FOLDER}/predicted"),
            ),
            9,
            f"{FOLDER}/predicted/scan-001",
            once=True,
        ),
        ChainStep(
            "export",
            "export the cascade as a SavedModel",
            (
                *("trainers.export", f"--run={RUNS}/hier_unfreeze", liver),
                f"--measures={FOLDER}/report/measures.json",
                f"--output={FOLDER}/saved_models/liver/1",
            ),
            9,
            f"{FOLDER}/saved_models/liver/1",
            once=True,
        ),
        ChainStep(
            "ask",
            "query the SavedModel with a slice",
            (
                *("trainers.ask", f"--model={FOLDER}/saved_models/liver/1"),
                f"--input={new}/sheba/images/p000_s0.dcm",
                f"--picture={FOLDER}/answer.png",
            ),
            6,
            f"{FOLDER}/answer.png",
        ),
    ]

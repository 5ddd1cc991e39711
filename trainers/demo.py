"""The whole road on phantom data, by the commands that a user with real data gives.

Every step is a command of this program, printed before it runs. A step that was done is not done
again.
"""

from __future__ import annotations

import time
from pathlib import Path

from absl import app, flags

from liver_tf.studies.steps import Step, minutes, run_chain

FLAGS = flags.FLAGS

PROTOCOLS = ("baseline", "no_freezing", "freeze_encoder", "hier_freeze", "hier_unfreeze")

FOLDER = Path("demo")
RUNS = f"{FOLDER}/runs/finetune/fold0/seed0"


def steps() -> list[Step]:
    """All steps in order."""
    data, records, new = f"{FOLDER}/data", f"{FOLDER}/tfrecords", f"{FOLDER}/new_patients"
    liver = f"--liver_run={FOLDER}/runs/liver"
    lits, slices = f"--input={data}/lits", f"--input={data}/sheba/slices.csv"
    table = f"--output={FOLDER}/report"
    runs = [f"--run={RUNS}/{protocol}" for protocol in PROTOCOLS]
    return [
        Step(
            "phantom",
            "write a phantom LiTS and a phantom Sheba",
            (
                *("data_prep.phantom", f"--output={data}", "--lits_volumes=20"),
                *("--patients=90", "--matrix=256", "--workers=2"),
            ),
            20,
            f"{data}/phantom.json",
        ),
        Step(
            "phantom_new",
            "write scans of patients on whom nothing will be trained",
            (
                *("data_prep.phantom", f"--output={new}", "--seed=1", "--lits_volumes=1"),
                *("--patients=6", "--matrix=256", "--workers=2"),
            ),
            5,
            f"{new}/phantom.json",
        ),
        Step("verify_lits", "look at the volumes", ("data_prep.verify", "--source=lits", lits), 5),
        Step(
            "verify_sheba", "look at the slices", ("data_prep.verify", "--source=slices", slices), 3
        ),
        Step(
            "build_lits",
            "convert the volumes",
            ("data_prep.build_tfrecords", "--source=lits", lits, f"--output={records}/lits"),
            8,
            f"{records}/lits/manifest.json",
        ),
        Step(
            "build_sheba",
            "convert the slices and make folds by patient",
            ("data_prep.build_tfrecords", "--source=slices", slices, f"--output={records}/sheba"),
            7,
            f"{records}/sheba/manifest.json",
        ),
        Step(
            "pretrain_liver",
            "train the liver network",
            ("trainers.pretrain", "--flagfile=flags/demo/liver.flags"),
            48,
            f"{FOLDER}/runs/liver/weights.npz",
        ),
        *(
            Step(
                f"rois_{name}",
                f"cut ROIs around the liver that the network finds: {name}",
                (
                    *("data_prep.make_rois", f"--input={records}/{name}", liver),
                    f"--output={records}/{name}_roi",
                ),
                8,
                f"{records}/{name}_roi/manifest.json",
            )
            for name in ("lits", "sheba")
        ),
        Step(
            "pretrain_lesion",
            "pre-train the lesion network (background, liver, lesion)",
            ("trainers.pretrain", "--flagfile=flags/demo/lesion.flags"),
            105,
            f"{FOLDER}/runs/lesion/weights.npz",
        ),
        *(
            Step(
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
        Step(
            "choose_postprocessing",
            "choose threshold, holes and least size of lesions on the validation patients",
            ("trainers.choose_postprocessing", *runs, liver, f"--records={records}/sheba"),
            25,
            f"{RUNS}/{PROTOCOLS[-1]}/postprocessing.json",
        ),
        Step(
            "evaluate",
            "measure all protocols on the test patients",
            (
                *("trainers.evaluate", *runs, liver, f"--records={records}/sheba", table),
                "--data_label=PHANTOM data (not patients)",
            ),
            25,
            f"{FOLDER}/report/table.txt",
        ),
        Step(
            "predict",
            "outline and type the lesions of a volume",
            (
                *("trainers.predict", f"--model={RUNS}/hier_unfreeze", liver),
                *(f"--input={new}/lits/volume-0.nii.gz", f"--output={FOLDER}/predicted"),
            ),
            9,
            f"{FOLDER}/predicted/scan-001",
            once=True,
        ),
        Step(
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
        Step(
            "ask",
            "ask the SavedModel about a slice",
            (
                *("trainers.ask", f"--model={FOLDER}/saved_models/liver/1"),
                f"--input={new}/sheba/images/p000_s0.dcm",
                f"--picture={FOLDER}/answer.png",
            ),
            6,
            f"{FOLDER}/answer.png",
        ),
    ]


def main(argv: list[str]) -> int:
    del argv
    plan = steps()
    began = time.monotonic()
    ran = run_chain(plan, FOLDER, "the demo")
    if "evaluate" not in ran:
        print("\n" + (FOLDER / "report" / "table.txt").read_text(encoding="utf-8"))
    print(
        "\nOne fold, one seed, phantoms. The hierarchical protocols train through more cycles than "
        "the others;\nwhat their order adds is told only by the controls of equal length "
        "(no_freezing_5_cycles.flags,\nno_freezing_6_cycles.flags): see docs/fine-tuning.md."
    )
    print(
        f"\n{len(ran)} of {len(plan)} steps ran, {minutes(time.monotonic() - began)}. Look at "
        f"{FOLDER}/report/report.html, {FOLDER}/predicted/scan-001 and {FOLDER}/answer.png."
    )
    return 0


if __name__ == "__main__":
    app.run(main)

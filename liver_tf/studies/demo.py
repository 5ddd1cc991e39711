"""The demo: the complete workflow on phantom data, with the same commands as for real data."""

from dataclasses import dataclass
from pathlib import Path

from liver_tf.command_line.invocation import suggest
from liver_tf.options import Options
from liver_tf.studies.command_chain import ChainStep, run_chain
from liver_tf.studies.grid import PAPER_PROTOCOLS
from liver_tf.studies.phantom_study import (
    DATA_LABEL,
    conversion_steps,
    phantom_step,
    pretraining_step,
    roi_step,
)

FOLDER = Path("demo")
RUNS = FOLDER / "runs" / "finetune" / "fold0" / "seed0"

#: Epochs of a cycle, by protocol: 50 in all, 48 in six cycles.
EPOCHS = {
    "baseline": 50,
    "no_freezing": 50,
    "freeze_encoder": 50,
    "hier_freeze": 10,
    "hier_unfreeze": 8,
}


@dataclass(frozen=True)
class DemoSettings(Options):
    """The demo has no options."""


def run_demo() -> None:
    """Run all steps that are not done, in the folder ``demo/``, then print the results."""
    steps = demo_steps()
    ran = run_chain(steps, FOLDER, "the demo")
    if "evaluate" not in ran.names:
        print("\n" + (FOLDER / "report" / "table.txt").read_text(encoding="utf-8"))
    print(
        "\nOne fold, one seed, phantoms: a demonstration, no comparison of the protocols. All but "
        "the baseline\nstart from the lesion network in the package, and all train for about "
        "the same number of epochs."
        f"\n\n{ran.text()} "
        f"Open {FOLDER}/report/report.html, {FOLDER}/predicted/scan-001 and {FOLDER}/answer.png."
    )
    networks = {"liver_run": FOLDER / "runs" / "liver", "model": RUNS / "hier_unfreeze"}
    suggest("predict", "a scan of your own", **networks, input="SCAN")


def demo_steps() -> list[ChainStep]:
    """All steps of the demo, in order."""
    data, new = FOLDER / "data", FOLDER / "new_patients"
    volumes, slices = data / "lits", data / "sheba" / "slices.csv"
    volume, dicom_slice = new / "lits" / "volume-0.nii.gz", new / "sheba/images/p000_s0.dcm"
    report, predicted = FOLDER / "report", FOLDER / "predicted"
    measures = report / "measures.json"
    exported, picture = FOLDER / "saved_models" / "liver" / "1", FOLDER / "answer.png"
    liver, model = FOLDER / "runs" / "liver", RUNS / "hier_unfreeze"
    on_test = {
        "run": [RUNS / protocol for protocol in PAPER_PROTOCOLS],
        "liver_run": liver,
        "records": FOLDER / "tfrecords" / "sheba",
    }
    return [
        phantom_step(FOLDER, 20, lits_volumes=20, patients=90, matrix=256, workers=2),
        ChainStep(
            "phantom_new",
            "write scans of patients outside the training data",
            5,
            "data_prep.phantom",
            {"output": new, "seed": 1, "lits_volumes": 1, "patients": 6, "matrix": 256},
            new / "phantom.json",
        ),
        *(
            ChainStep(name, title, seconds, "data_prep.verify", {"source": source, "input": path})
            for name, title, seconds, source, path in (
                ("verify_lits", "check the volumes", 5, "lits", volumes),
                ("verify_sheba", "check the slices", 3, "slices", slices),
            )
        ),
        *conversion_steps(FOLDER, 8),
        pretraining_step(FOLDER, "liver", FOLDER / "tfrecords/lits", Path("flags/demo"), 48),
        roi_step(FOLDER, FOLDER / "tfrecords" / "sheba", 8),
        *(
            ChainStep(
                f"finetune_{protocol}",
                f"fine-tune on lesion types: {protocol}",
                seconds,
                "trainers.finetune",
                {
                    "flagfile": [f"{protocol}.flags", "flags/demo/finetune.flags"],
                    "epochs": EPOCHS[protocol],
                },
                RUNS / protocol / "weights.npz",
            )
            for protocol, seconds in zip(PAPER_PROTOCOLS, (85, 85, 70, 85, 95), strict=True)
        ),
        ChainStep(
            "choose_postprocessing",
            "choose threshold, hole filling and minimum lesion size on the validation patients",
            50,
            "trainers.choose_postprocessing",
            on_test,
            RUNS / PAPER_PROTOCOLS[-1] / "postprocessing.json",
        ),
        ChainStep(
            "evaluate",
            "evaluate all protocols on the test patients",
            50,
            "trainers.evaluate",
            {**on_test, "output": report, "data_label": DATA_LABEL},
            report / "table.txt",
        ),
        ChainStep(
            "predict",
            "predict the lesions of a volume and their types",
            9,
            "trainers.predict",
            {"model": model, "liver_run": liver, "input": volume, "output": predicted},
            predicted / "scan-001",
            once=True,
        ),
        ChainStep(
            "export",
            "export the cascade as a SavedModel",
            9,
            "trainers.export",
            {"run": model, "liver_run": liver, "measures": measures, "output": exported},
            exported,
            once=True,
        ),
        ChainStep(
            "ask",
            "query the SavedModel with a slice",
            6,
            "trainers.ask",
            {"model": exported, "input": dicom_slice, "picture": picture},
            picture,
        ),
    ]

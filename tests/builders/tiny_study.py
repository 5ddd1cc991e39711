"""A study small enough for a test: records, folds, networks, settings and commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from liver_tf.records.folds import cross_validation, save_folds
from liver_tf.records.manifest import load_manifest
from tests.builders import tiny_records

ROOT = Path(__file__).parents[2]

#: Patients 0 to 7 test once each; validation has patients with and without a lesion.
PATIENTS, FOLDS = 12, 2

#: Name of the run that the tests train.
CELL = "fold0/mine/seed0"


def write(folder: Path, make_network=None) -> Path:
    """Write the inputs of a study.

    The networks are real but untrained; without ``make_network`` they are placeholder files.
    """
    whole = folder / "whole"
    whole.mkdir(parents=True)
    manifest = tiny_records.write_set(whole, patients=PATIENTS, slices=1, roi=False)
    splits = cross_validation(manifest, folds=FOLDS, validation_share=0.3, seed=0)
    save_folds(folder / "folds.json", manifest, splits, {})
    rois = folder / "rois"
    rois.mkdir()
    roi_manifest = tiny_records.write_set(rois, patients=PATIENTS, slices=1)
    roi = {**roi_manifest.roi, "source_fingerprint": load_manifest(whole).fingerprint}
    replace(roi_manifest, roi=roi).save(rois)
    for name, kind in (("liver", "liver"), ("lesion", "lesion")):
        (folder / name).mkdir()
        if make_network is None:
            (folder / name / "weights.npz").write_bytes(b"weights")
            continue
        from liver_tf.model.weights_file import save_weights

        network = make_network(kind, favoured=[0.0, 3.0] if kind == "liver" else None)
        network.description.save(folder / name)
        save_weights(folder / name / "weights.npz", network.model)
    settings(folder)
    return folder


def settings(folder: Path, name: str = "settings", **changes) -> Path:
    """Write a flag file of settings."""
    values = {"epochs": 2, "batch_size": 4, "pictures": 0, **changes}
    path = folder / f"{name}.flags"
    lines = [f"--{key}={value}" for key, value in values.items()]
    path.write_text("# For a test.\n" + "\n".join([*lines, "--accept_unknown_training", ""]))
    return path


def protocol(folder: Path, name: str, *cycles: str, **more) -> Path:
    """Write the flag file of a protocol."""
    path = folder / f"{name}.flags"
    lines = [f"--protocol={name}", "--start=pretrained", *(f"--cycle={cycle}" for cycle in cycles)]
    lines += [f"--{key}={value}" for key, value in more.items()]
    path.write_text("\n".join([*lines, ""]))
    return path


def arguments(work: Path, study: Path, protocols, **changes) -> list[str]:
    """Command-line arguments of trainers.reproduce."""
    values = {
        "output": study,
        "settings": work / "settings.flags",
        "protocols": ",".join(map(str, protocols)),
        "folds": "0",
        "seeds": "0",
        "roi_records": work / "rois",
        "records": work / "whole",
        "folds_file": work / "folds.json",
        "pretrained": work / "lesion",
        "liver_run": work / "liver",
        "samples": 100,
        **changes,
    }
    return [f"--{name}={value}" for name, value in values.items()]


def run_of(study: Path) -> Path:
    """The trained run of ``CELL``."""
    return study / "finetune" / "fold0" / "seed0" / "mine"


def start(arguments: list[str], **options) -> subprocess.Popen:
    """Start trainers.reproduce in a new process and process group."""
    return subprocess.Popen(
        [sys.executable, "-m", "trainers.reproduce", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )


def result_of(run: Path) -> dict:
    """Results of a run, without anything that depends on interruptions or durations."""
    cycles = {}
    for path in sorted(run.glob("cycle*/cycle.json")):
        cycles[path.parent.name] = json.loads(path.read_text())
        del cycles[path.parent.name]["seconds"]
    measures = {path.name: path.read_bytes() for path in sorted((run / "measures").glob("*.json"))}
    chosen = json.loads((run / "postprocessing.json").read_text())
    weights = (run / "weights.npz").read_bytes()
    return {"cycles": cycles, "measures": measures, "chosen": chosen, "weights": weights}

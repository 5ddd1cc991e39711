"""A cell: pre-training, arms with equal steps and data, frozen blocks, measures."""

import csv
import json
from pathlib import Path

import pytest

from liver_tf.labels import LITS
from liver_tf.model.blocks import ENCODER
from liver_tf.records.folds import Split, save_folds
from liver_tf.results.stored_results import load_results
from liver_tf.studies.order import order_cell
from liver_tf.studies.order import order_folders as folders
from liver_tf.studies.order.order_arms import Arm, primary_arms
from liver_tf.studies.order.order_settings import OrderCellSettings
from tests.builders import tiny_records

ARMS = (primary_arms(0)[0], Arm("two", "two cycles", ("enc1-enc5", "none")))


@pytest.fixture
def cell(tmp_path, monkeypatch):
    monkeypatch.setattr(order_cell, "arms_of", lambda group, replicate: ARMS)
    records = folders.rois_folder(tmp_path, folders.TYPED_ROIS)
    manifest = tiny_records.write_set(records, patients=8, slices=1)
    cases = tuple(entry.case for entry in manifest.cases)
    save_folds(
        folders.folds_file(tmp_path), manifest, (Split(cases[:4], cases[4:5], cases[5:]),), {}
    )
    lits = folders.rois_folder(tmp_path, folders.LITS_ROIS)
    tiny_records.write_set(lits, patients=6, slices=1, label_set=LITS, seed=9, prefix="lits-")
    small = ("--image_size=32", "--base_filters=1", "--epochs=1", "--accept_unknown_training")
    flag_files = tmp_path / "flags"
    flag_files.mkdir()
    for name, changes in (("lesion", small[:3]), ("finetune", small[3:])):
        lines = Path(f"flags/order/{name}.flags").read_text()
        (flag_files / f"{name}.flags").write_text("\n".join([lines, *changes]))
    settings = OrderCellSettings(
        **{"folder": tmp_path, "flag_files": flag_files, "group": "primary"},
        **{"replicate": 5, "fold": 0, "epochs": 30},
    )
    # Enough for five cycles and for two; the study itself needs a multiple of 30.
    object.__setattr__(settings, "epochs", 10)
    return settings


@pytest.mark.long
def test_a_cell(cell, capsys):
    order_cell.run_order_cell(cell)
    steps, frozen = {}, {}
    for arm in ARMS:
        run = folders.run_of(cell.folder, 0, 5, arm.name)
        cycles = [run / f"cycle{number + 1}" for number in range(len(arm.frozen))]
        rows = [row for c in cycles for row in csv.DictReader((c / "history.csv").open())]
        steps[arm.name] = len(rows)
        results = [json.loads((c / "cycle.json").read_text()) for c in cycles]
        frozen[arm.name] = [
            {b for b, value in r["hashes_before"].items() if r["hashes_after"][b] == value}
            for r in results
        ]
        assert [r["best_epoch"] for r in results] == [r["epochs"] for r in results]
        measured = load_results(run)
        assert (measured.seed, len(measured.results)) == (5, 3)
    assert steps == {"a_restarts": 10, "two": 10}
    assert frozen == {"a_restarts": [set()] * 5, "two": [set(ENCODER), set()]}
    identities = [
        json.loads((folders.run_of(cell.folder, 0, 5, arm.name) / "run.json").read_text())
        for arm in ARMS
    ]
    for identity in identities:
        del identity["protocol"]
    assert identities[0] == identities[1]
    assert (folders.pretrained_run(cell.folder, 5) / "weights.npz").exists()
    capsys.readouterr()
    order_cell.run_order_cell(cell)
    assert capsys.readouterr().out.count("already finished, nothing to do") == 1 + len(ARMS)

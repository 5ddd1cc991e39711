"""A cell of a study of liver networks: trained on its fold, measured on its test, in order."""

import numpy as np
import pytest

from liver_tf import run_files
from liver_tf.assessment.evaluate import map_name
from liver_tf.labels import LITS
from liver_tf.model.weights_file import save_weights
from liver_tf.records.folds import Split, save_folds
from liver_tf.records.manifest import load_manifest
from liver_tf.records.shards import read_case
from liver_tf.results.stored_results import load_results
from liver_tf.studies.cell_process import CellJob
from liver_tf.studies.study import Protocol
from liver_tf.studies.study_jobs import LiverSources, plan
from tests.builders import tiny_records
from trainers import liver_cell


@pytest.fixture
def work(tmp_path, make_network):
    """Records of whole slices with a fold whose test cases do not stand by name; a network."""
    records = tmp_path / "records"
    records.mkdir()
    manifest = tiny_records.write_set(records, patients=6, slices=1, roi=False, label_set=LITS)
    names = [entry.case for entry in manifest.cases]
    split = Split(tuple(names[:2]), tuple(names[2:3]), (names[5], names[3], names[4]))
    other = Split(tuple(names[3:]), tuple(names[:1]), tuple(names[1:3]))
    save_folds(tmp_path / "folds.json", manifest, (split, other), {})
    network = make_network("liver")
    network.description.save(tmp_path / "liver")
    save_weights(tmp_path / "liver" / "weights.npz", network.keras_model)
    return tmp_path, manifest, split


def test_it_trains_and_measures_the_test_of_its_fold(work, command):
    folder, manifest, split = work
    arguments = [
        *("--protocol=mine", "--start=pretrained", "--cycle=enc1", "--epochs=1", "--pictures=0"),
        *("--accept_unknown_training", "--fold=0", "--seed=3", f"--runs={folder / 'runs'}"),
        *LiverSources(folder / "records", folder / "folds.json", folder / "liver").arguments(),
    ]
    assert command(liver_cell, *arguments) == 0
    run = folder / "runs" / "fold0" / "seed3" / "mine"
    found = load_results(run)
    assert (found.protocol, found.fold, found.seed, found.clean) == ("mine", "0", 3, True)
    assert tuple(result.case for result in found.results) == split.test
    entries = {entry.case: entry for entry in manifest.cases}
    with np.load(run_files.label_maps_file(run, "test")) as maps:
        for result in found.results:
            (record,) = read_case(folder / "records", entries[result.case])
            predicted, truth = maps[map_name(result.case, 0)] == 1, record.labels > 0
            both = int((predicted & truth).sum())
            assert result.liver.dice == pytest.approx(2 * both / (predicted.sum() + truth.sum()))


def test_its_jobs_start_it_with_what_decides_the_result(work):
    folder, _, _ = work
    sources = LiverSources(folder / "records", folder / "folds.json", folder / "liver")
    protocol = Protocol("mine", ("--protocol=mine", "--start=pretrained", "--cycle=none"))
    options = {"seeds": [0, 1], "settings": {"mine.flags": ("--epochs=5",)}, "validation": "inner"}
    planned = plan(folder / "study", sources, [protocol], folds=None, **options)
    assert [job.name for job in planned.jobs] == [
        f"fold{fold}/mine/seed{seed}" for seed in (0, 1) for fold in (0, 1)
    ]
    assert {job.command for job in planned.jobs} == {"trainers.liver_cell"}
    assert CellJob.command == "trainers.cell"
    # Two training slices and one that validates, five times.
    assert planned.work["fold0/mine/seed0"].total == 15
    made_of = planned.made_of["mine"]
    assert made_of["records"] == load_manifest(folder / "records").fingerprint
    assert set(made_of) == {"settings", "records", "folds", "pretrained weights", "protocol"}

"""A run of a study of liver networks: trained on its fold, evaluated on its test part."""

import numpy as np
import pytest

from liver_tf import run_files
from liver_tf.assessment.evaluate import map_name
from liver_tf.labels import LITS
from liver_tf.model.weights_file import save_weights
from liver_tf.records.folds import Split, save_folds
from liver_tf.records.shards import read_case
from liver_tf.results.stored_results import load_results
from liver_tf.studies.study_plan import LiverStudyInputs
from tests.builders import tiny_records
from trainers import liver_cell


@pytest.fixture
def work(tmp_path, make_network):
    """Records of whole slices with a fold whose test cases are not sorted by name; a network."""
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


def test_it_trains_and_evaluates_the_test_slices_of_its_fold_in_order(work, command):
    folder, manifest, split = work
    arguments = [
        *("--protocol=mine", "--start=pretrained", "--cycle=enc1", "--epochs=1", "--pictures=0"),
        *("--accept_unknown_training", "--fold=0", "--seed=3", f"--runs={folder / 'runs'}"),
        *LiverStudyInputs(folder / "records", folder / "folds.json", folder / "liver").arguments(),
    ]
    assert command(liver_cell, *arguments) == 0
    run = folder / "runs" / "fold0" / "seed3" / "mine"
    results = load_results(run)
    assert (results.protocol, results.fold, results.seed, results.clean) == ("mine", "0", 3, True)
    assert tuple(result.case for result in results.results) == split.test
    entries = {entry.case: entry for entry in manifest.cases}
    with np.load(run_files.label_maps_file(run, "test")) as maps:
        for result in results.results:
            (record,) = read_case(folder / "records", entries[result.case])
            predicted, truth = maps[map_name(result.case, 0)] == 1, record.labels > 0
            both = int((predicted & truth).sum())
            assert result.liver.dice == pytest.approx(2 * both / (predicted.sum() + truth.sum()))

"""A liver network on the test slices of its fold."""

import json

import numpy as np
import pytest

from liver_tf import run_files
from liver_tf.assessment.evaluate_liver import evaluate_liver_run
from liver_tf.assessment.label_maps import map_name
from liver_tf.labels import LITS
from liver_tf.model.weights_file import save_weights
from liver_tf.records.shard_reader import read_case
from liver_tf.results.stored_results import load_results
from tests.builders import tiny_records


def test_the_test_slices_are_evaluated_in_the_order_of_the_fold(tmp_path, make_network):
    manifest = tiny_records.write_set(
        tmp_path / "records", patients=4, slices=1, roi=False, label_set=LITS
    )
    cases = [entry.case for entry in manifest.cases]
    test = [cases[3], cases[1], cases[2]]
    run = tmp_path / "mine"
    network = make_network("liver")
    network.description.save(run)
    save_weights(run / run_files.WEIGHTS, network.model)
    identity = {"split": {"test": test}, "fold": 1, "seed": 3, "validation": "inner"}
    (run / run_files.IDENTITY).write_text(json.dumps(identity))

    evaluate_liver_run(run, tmp_path / "records", manifest)

    results = load_results(run)
    assert (results.protocol, results.fold, results.seed, results.clean) == ("mine", "1", 3, True)
    assert [result.case for result in results.results] == test
    entries = {entry.case: entry for entry in manifest.cases}
    with np.load(run_files.label_maps_file(run, "test")) as maps:
        for result in results.results:
            (record,) = read_case(tmp_path / "records", entries[result.case])
            predicted, truth = maps[map_name(result.case, 0)] == 1, record.labels > 0
            both = int((predicted & truth).sum())
            assert result.liver.dice == pytest.approx(2 * both / (predicted.sum() + truth.sum()))

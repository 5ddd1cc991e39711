"""Measures on ROIs: those of the network's own output, corrected and compared pixel by pixel."""

import json

import numpy as np
import pytest
from scipy.special import log_softmax

from liver_tf.assessment.evaluate_rois import TestRois, evaluate_on_rois
from liver_tf.measures.measure_registry import summarise
from liver_tf.model.weights_file import save_weights
from liver_tf.results.stored_results import load_results

WEIGHTS = (0.3, 1.0, 6.0, 4.0, 2.0)


@pytest.fixture
def run(tmp_path, make_network, record_set):
    folder = tmp_path / "fold0" / "seed3" / "mine"
    network = make_network("lesion", class_weights=WEIGHTS, filters=4)
    network.description.save(folder)
    save_weights(folder / "weights.npz", network.model)
    cases = [entry.case for entry in record_set[1].cases]
    identity = {"fold": 0, "seed": 3, "split": {"test": cases[2:]}}
    (folder / "run.json").write_text(json.dumps(identity))
    return folder, network, tuple(cases[2:])


@pytest.mark.parametrize("decision", ["argmax", "prior_corrected"])
def test_measures_are_those_of_the_corrected_output(run, record_set, decision):
    folder, network, cases = run
    rois = TestRois.read(record_set[0], cases, 32)
    assert len(rois.places) == 2 * len(cases)
    assert {place[1] for place in rois.places} == set(cases)
    results = evaluate_on_rois(folder, rois, decision)
    standardised = (rois.hu - 100.0) / 30.0
    logits = network.model(standardised[..., None], training=False).numpy()
    shift = np.log(WEIGHTS) if decision == "prior_corrected" else 0.0
    predicted = (log_softmax(logits, axis=-1) - shift).argmax(axis=-1)
    dice, correct = [], []
    for truth, labels in zip(rois.labels, predicted, strict=True):
        if (truth > 1).any():
            both = ((truth > 1) & (labels > 1)).sum()
            dice.append(2 * both / ((truth > 1).sum() + (labels > 1).sum()))
            counts = np.bincount(labels[labels > 1], minlength=5)
            found = counts.argmax() if counts.any() else None
            correct.append(found == truth[truth > 1].max())
    assert (predicted > 1).any()
    found = summarise(results.results)
    assert found["dice2"] == pytest.approx(np.mean(dice))
    assert found["accuracy"] == pytest.approx(np.mean(correct))
    assert (results.seed, results.fold, results.protocol) == (3, "0", "mine")
    # Stored, and not predicted again.
    assert load_results(folder).results == results.results
    assert evaluate_on_rois(folder, rois, decision) == load_results(folder)


def test_other_decisions_are_refused(run, record_set):
    folder, _, cases = run
    rois = TestRois.read(record_set[0], cases, 32)
    with pytest.raises(ValueError, match="expected one of argmax, prior_corrected"):
        evaluate_on_rois(folder, rois, "threshold")

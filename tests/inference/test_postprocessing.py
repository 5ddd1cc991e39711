"""Post-processing settings: bounds, the file of a run, ensembles."""

import itertools
import json

import pytest

from liver_tf.inference import postprocessing
from liver_tf.inference.postprocessing import NOTHING, PostProcessing, of_ensemble, of_runs
from liver_tf.model.weights_file import save_weights, stored_hash
from liver_tf.refusals import Refusal


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"lesion_probability": 0.0}, "lesion_probability: expected above 0 and below 1, found 0"),
        ({"lesion_probability": float("nan")}, "lesion_probability: expected above 0"),
        ({"least_area_mm2": -1.0}, "least_area_mm2: expected 0 or more, found -1"),
        ({"least_area_mm2": float("inf")}, "least_area_mm2: expected 0 or more, found inf"),
        ({"rim_pixels": 2}, "rim_pixels: expected -1, 0 or 1, found 2"),
        ({"rim_pixels": True}, "rim_pixels: expected -1, 0 or 1, found True"),
        ({"whole_liver": "false"}, "whole_liver: expected true or false, found false"),
    ],
)
def test_settings_out_of_range_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        PostProcessing(**values)


def test_an_ensemble_uses_the_settings_of_most_runs_or_the_simplest():
    strict, simple = PostProcessing(0.5, True, 10.0), PostProcessing(least_area_mm2=25.0)
    assert of_ensemble([strict]) == strict
    assert of_ensemble([strict, simple, strict]) == strict
    assert of_ensemble([strict, simple]) == simple
    # The order of the runs does not matter, and ties are broken.
    small, large = PostProcessing(least_area_mm2=50.0), PostProcessing(least_area_mm2=100.0)
    assert of_ensemble([small, large]) == of_ensemble([large, small]) == small
    assert of_ensemble([strict, simple, NOTHING]) == NOTHING
    whole, inside = PostProcessing(whole_liver=True), PostProcessing(rim_pixels=-1)
    beside = PostProcessing(rim_pixels=0)
    for one, other in itertools.combinations([whole, inside, beside], 2):
        assert of_ensemble([one, other]) == of_ensemble([other, one])


@pytest.fixture
def run(tmp_path, make_network):
    save_weights(tmp_path / "run" / "weights.npz", make_network("lesion").model)
    return tmp_path / "run"


def test_settings_belong_to_the_weights_of_the_run(run, make_network):
    assert postprocessing.load(run) == NOTHING
    how = PostProcessing(0.4, True, 25.0)
    postprocessing.save(run, how, {"table": []})
    assert postprocessing.load(run) == how
    save_weights(run / "weights.npz", make_network("lesion", seed=2).model)
    with pytest.raises(Refusal, match=r"\[postprocessing-other-weights\].*Choose them again"):
        postprocessing.load(run)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"postprocessing": {"least_area_mm2": -1}, "weights": "x"}']
)
def test_damaged_settings_are_refused(run, text):
    (run / "postprocessing.json").write_text(text)
    with pytest.raises(Refusal, match=r"\[postprocessing-damaged\]"):
        postprocessing.load(run)


def test_the_file_holds_the_settings_by_name(run):
    how = PostProcessing(0.4, True, 25.0)
    postprocessing.save(run, how, {"measure": "dice2"})
    value = json.loads((run / "postprocessing.json").read_text())
    assert value["postprocessing"] == {
        "lesion_probability": 0.4,
        "fill_holes": True,
        "least_area_mm2": 25.0,
        "corrected": False,
        "rim_pixels": 1,
        "least_height": 0.0,
        "whole_liver": False,
    }
    assert value["measure"] == "dice2"
    assert NOTHING.text() == "none"
    assert how.text() == (
        "lesion where its probability is 0.4 or more, holes filled, lesions below 25 mm2 dropped"
    )


def test_settings_of_earlier_versions_are_uncorrected(run):
    stored = json.dumps(
        {
            "postprocessing": {
                "lesion_probability": 0.9,
                "fill_holes": False,
                "least_area_mm2": 10.0,
            },
            "weights": stored_hash(run / "weights.npz"),
        }
    )
    (run / "postprocessing.json").write_text(stored)
    assert postprocessing.load(run) == PostProcessing(0.9, least_area_mm2=10.0, corrected=False)


@pytest.mark.parametrize(
    ("how", "decision", "text"),
    [
        (PostProcessing(), "argmax", "none"),
        (PostProcessing(0.9), "threshold", "lesion where its probability is 0.9 or more"),
        (
            PostProcessing(corrected=True),
            "prior_corrected",
            "most likely class by corrected probabilities",
        ),
        (
            PostProcessing(0.25, least_area_mm2=10, corrected=True),
            "threshold",
            "lesion where its corrected probability is 0.25 or more, lesions below 10 mm2 dropped",
        ),
    ],
)
def test_the_rule_is_in_the_text(how, decision, text):
    assert (how.decision, how.text()) == (decision, text)


def test_an_ensemble_of_corrected_thresholds_uses_the_median():
    each = [
        PostProcessing(0.9, True, 10.0, corrected=True),
        PostProcessing(0.3, False, 50.0, corrected=True),
        PostProcessing(0.6, False, 0.0, corrected=True),
    ]
    expected = PostProcessing(0.6, False, 10.0, corrected=True)
    assert of_ensemble(each) == of_ensemble(each[::-1]) == expected
    assert of_ensemble(each[:2]) == PostProcessing(0.3, False, 10.0, corrected=True)


@pytest.fixture
def runs(tmp_path, make_network):
    """Finished runs with class weights, ``one``, and without, ``two``."""
    for name, seed, weights in (("one", 1, (0.5, 0.5, 30.0, 20.0, 40.0)), ("two", 2, None)):
        network = make_network("lesion", seed=seed, class_weights=weights)
        network.description.save(tmp_path / name)
        save_weights(tmp_path / name / "weights.npz", network.model)
    return tmp_path


def test_the_stored_rule_is_used_unless_another_is_given(runs):
    single = [runs / "one"]
    assert of_runs(single) == of_runs(single, decision="argmax") == NOTHING
    corrected = PostProcessing(corrected=True)
    assert of_runs(single, decision="prior_corrected") == corrected
    assert of_runs(single, use_chosen=False, decision="prior_corrected") == corrected
    with pytest.raises(Refusal, match=r"\[no-threshold\].*--decision=threshold"):
        of_runs(single, decision="threshold")
    stored = PostProcessing(0.7, least_area_mm2=20.0, corrected=True)
    postprocessing.save(runs / "one", stored, {})
    assert of_runs(single) == of_runs(single, decision="threshold") == stored
    assert of_runs(single, decision="argmax") == of_runs(single, use_chosen=False) == NOTHING
    assert of_runs(single, decision="prior_corrected") == corrected
    with pytest.raises(Refusal, match=r"\[no-threshold\].*--nopostprocessing"):
        of_runs(single, use_chosen=False, decision="threshold")


def test_correction_without_class_weights_is_refused(runs):
    both = [runs / "one", runs / "two"]
    with pytest.raises(Refusal, match=r"\[class-weights-unknown\]") as caught:
        of_runs(both, decision="prior_corrected")
    assert caught.value.path == runs / "two"
    # Also where only the other runs of an ensemble chose a corrected rule.
    postprocessing.save(runs / "one", PostProcessing(corrected=True), {})
    with pytest.raises(Refusal, match=r"\[class-weights-unknown\]"):
        of_runs([runs / "two", runs / "one", runs / "one"])
    # A threshold on uncorrected probabilities needs none.
    how = PostProcessing(0.98)
    postprocessing.save(runs / "two", how, {})
    assert of_runs([runs / "two"]) == of_runs([runs / "two"], decision="threshold") == how

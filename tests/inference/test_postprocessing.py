"""Post-processing settings: bounds, the file of a run, ensembles."""

import json

import pytest

from liver_tf.inference import postprocessing
from liver_tf.inference.postprocessing import NOTHING, PostProcessing, of_ensemble
from liver_tf.refusals import Refusal


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"lesion_probability": 0.0}, "lesion_probability: expected above 0 and below 1, found 0"),
        ({"lesion_probability": float("nan")}, "lesion_probability: expected above 0"),
        ({"least_area_mm2": -1.0}, "least_area_mm2: expected 0 or more, found -1"),
        ({"least_area_mm2": float("inf")}, "least_area_mm2: expected 0 or more, found inf"),
    ],
)
def test_settings_out_of_range_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        PostProcessing(**values)


def test_an_ensemble_uses_the_settings_of_most_runs_or_the_simplest():
    one, other = PostProcessing(0.5, True, 10.0), PostProcessing(least_area_mm2=25.0)
    assert of_ensemble([one]) == one
    assert of_ensemble([one, other, one]) == one
    assert of_ensemble([one, other]) == other
    # The order of the runs does not matter, and ties are broken.
    small, large = PostProcessing(least_area_mm2=50.0), PostProcessing(least_area_mm2=100.0)
    assert of_ensemble([small, large]) == of_ensemble([large, small]) == small
    assert of_ensemble([one, other, NOTHING]) == NOTHING


@pytest.fixture
def run(tmp_path, make_network):
    from liver_tf.model.weights_file import save_weights

    save_weights(tmp_path / "run" / "weights.npz", make_network("lesion").model)
    return tmp_path / "run"


def test_settings_belong_to_the_weights_of_the_run(run, make_network):
    from liver_tf.model.weights_file import save_weights

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
    }
    assert value["measure"] == "dice2"
    assert NOTHING.text() == "none"
    assert how.text() == (
        "lesion where its probability is 0.4 or more, holes filled, lesions below 25 mm2 dropped"
    )

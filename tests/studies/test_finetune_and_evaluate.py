"""The steps of a run of a study grid; the steps themselves are replaced."""

import json
from dataclasses import asdict

import pytest

from liver_tf.assessment import choose_postprocessing, evaluate
from liver_tf.assessment.assessment_settings import SearchSettings
from liver_tf.inference.postprocessing import PostProcessing
from liver_tf.model.weights_file import save_weights
from liver_tf.studies.finetune_and_evaluate import (
    LesionRunSettings,
    finetune_and_evaluate_lesions,
)
from liver_tf.training import finetuning
from tests.builders.study_folder import write_run


@pytest.fixture
def searched(monkeypatch):
    """The steps change nothing but post-processing; returns the searches that were made."""
    searches = []

    def choose(run, liver_run, records, search):
        searches.append(search)
        how = PostProcessing(0.9, corrected=True)
        measures = {"dice2": 0.5, "false_positive_rate": 0.0}
        table = [asdict(each) | measures for each in (PostProcessing(0.5, corrected=True), how)]
        basis = {"cases": ["a"], "slices_with_lesion": 1, "slices_without": 1}
        return how, {"table": table, "chosen_on": basis, "warnings": ["Too few patients."]}

    monkeypatch.setattr(finetuning, "finetune", lambda settings, shared=None: None)
    monkeypatch.setattr(choose_postprocessing, "choose_postprocessing", choose)
    monkeypatch.setattr(evaluate, "evaluate_runs", lambda *_: None)
    return searches


def settings_of(folder, **options):
    write_run(folder, "mine")
    return LesionRunSettings.of(
        protocol="mine", runs=folder / "finetune", cycle=("none",), fold=0, **options
    )


def test_post_processing_is_chosen_as_the_settings_say(tmp_path, searched, make_network, capsys):
    settings = settings_of(tmp_path, decision="threshold", max_false_positive_rate=0.05)
    save_weights(settings.run / "weights.npz", make_network("lesion").model)
    finetune_and_evaluate_lesions(settings)
    assert searched == [SearchSettings(decision="threshold", max_false_positive_rate=0.05)]
    stored = json.loads((settings.run / "postprocessing.json").read_text())
    assert stored["decision"] == "threshold"
    assert "CAUTION. Too few patients." in capsys.readouterr().out


def test_the_choice_can_be_left_out(tmp_path, searched):
    settings = settings_of(tmp_path, postprocessing=False)
    finetune_and_evaluate_lesions(settings)
    assert searched == []
    assert not (settings.run / "postprocessing.json").exists()

"""The validation part is recorded in a run; validation on the test fold is announced."""

import json

import pytest

from liver_tf.model.weights_file import save_weights
from liver_tf.options import OptionError
from liver_tf.records.folds import Split, cross_validation, save_folds, validate_on_test
from liver_tf.training import job
from liver_tf.training.leak_check import save_training_cases
from tests.builders import tiny_records
from tests.builders.command_lines import finetune_arguments
from trainers import finetune


@pytest.fixture(scope="module")
def work(tmp_path_factory, make_network):
    """ROI records with folds, and a network pre-trained on other patients."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "roi").mkdir()
    manifest = tiny_records.write_set(folder / "roi", patients=8, slices=1)
    splits = cross_validation(manifest, folds=2, validation_share=0.3, seed=0)
    save_folds(folder / "folds.json", manifest, splits, {})
    network = make_network("lesion")
    network.description.save(folder / "lesion")
    save_weights(folder / "lesion" / "weights.npz", network.model)
    (folder / "others").mkdir()
    others = tiny_records.write_set(folder / "others", patients=4, seed=5, prefix="other-")
    save_training_cases(
        folder / "lesion", "lesion", others, Split(tuple(c.case for c in others.cases), ())
    )
    return folder, splits


def begin(command, work, **changes):
    """Start a run that stops before its first epoch; return the exit status and its identity."""
    passed = {}

    def record_identity(setup, protocol, folder, identity, description):
        passed.update(identity)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "train_protocol", record_identity)
        return command(finetune, *finetune_arguments(work, "none", pictures=0, **changes)), passed


def test_validation_on_the_test_fold_is_announced_and_recorded(work, command, capsys):
    folder, splits = work
    status, passed = begin(command, folder, validation="test_fold")
    assert status == 0
    assert "VALIDATION ON THE TEST FOLD: early stopping uses" in capsys.readouterr().out
    run = folder / "finetune" / "fold0_validated_on_test" / "seed0" / "mine"
    identity = json.loads((run / "run.json").read_text())
    assert identity["validation"] == passed["validation"] == "test_fold"
    split = identity["split"]
    assert split["validation"] == split["test"] == list(splits[0].test)
    # All other patients are used for training, and no test patient is.
    assert split["training"] == sorted((*splits[0].training, *splits[0].validation))
    assert not set(split["training"]) & set(split["test"])
    # The training data include the test patients: later trainings must not be tested on them.
    (training_part, _) = json.loads((run / "seen.json").read_text())
    assert {case["case"] for case in training_part["cases"]} >= set(split["test"])


def test_inner_validation_prints_no_warning(work, command, capsys):
    folder, splits = work
    status, passed = begin(command, folder)
    assert status == 0
    assert "VALIDATION ON THE TEST FOLD" not in capsys.readouterr().out
    assert passed["validation"] == "inner"
    assert tuple(passed["split"]["validation"]) == splits[0].validation
    run = folder / "finetune" / "fold0" / "seed0" / "mine"
    (training_part, _) = json.loads((run / "seen.json").read_text())
    assert not {case["case"] for case in training_part["cases"]} & set(splits[0].test)


def test_validation_on_the_test_fold_needs_folds(work, command):
    with pytest.raises(OptionError, match="validation: test_fold needs the folds"):
        begin(command, work[0], validation="test_fold", folds_file="")


def test_the_test_part_becomes_the_validation_part():
    clean = Split(("b", "d"), ("c",), ("a", "e"))
    assert validate_on_test(clean) == Split(("b", "c", "d"), ("a", "e"), ("a", "e"))

"""Who decides on early stopping is part of a run, and looser practice is told aloud."""

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
    """ROI records with folds, and a pre-trained network that has seen other patients."""
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
    """Starts a run that ends before its first epoch; gives the status and what was handed on."""
    handed = {}

    def noted(setup, protocol, folder, identity, description):
        handed.update(identity)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "train_protocol", noted)
        return command(finetune, *finetune_arguments(work, "none", pictures=0, **changes)), handed


def test_validation_on_the_test_fold_is_announced_and_recorded(work, command, capsys):
    folder, splits = work
    status, handed = begin(command, folder, validation="test_fold")
    assert status == 0
    assert "VALIDATION ON THE TEST FOLD: early stopping uses" in capsys.readouterr().out
    place = folder / "finetune" / "fold0_validated_on_test" / "seed0" / "mine"
    identity = json.loads((place / "run.json").read_text())
    assert identity["validation"] == handed["validation"] == "test_fold"
    split = identity["split"]
    assert split["validation"] == split["test"] == list(splits[0].test)
    # Nobody is set aside: all others are trained on, and no test patient is.
    assert split["training"] == sorted((*splits[0].training, *splits[0].validation))
    assert not set(split["training"]) & set(split["test"])
    # What the run has seen holds the test patients: no later training may be tested on them.
    (own, _) = json.loads((place / "seen.json").read_text())
    assert {case["case"] for case in own["cases"]} >= set(split["test"])


def test_inner_validation_prints_no_warning(work, command, capsys):
    folder, splits = work
    status, handed = begin(command, folder)
    assert status == 0
    assert "VALIDATION ON THE TEST FOLD" not in capsys.readouterr().out
    assert handed["validation"] == "inner"
    assert tuple(handed["split"]["validation"]) == splits[0].validation
    place = folder / "finetune" / "fold0" / "seed0" / "mine"
    (own, _) = json.loads((place / "seen.json").read_text())
    assert not {case["case"] for case in own["cases"]} & set(splits[0].test)


def test_validation_on_the_test_fold_needs_folds(work, command):
    with pytest.raises(OptionError, match="validation: test_fold needs the folds"):
        begin(command, work[0], validation="test_fold", folds_file="")


def test_the_split_by_hand():
    clean = Split(("b", "d"), ("c",), ("a", "e"))
    assert validate_on_test(clean) == Split(("b", "c", "d"), ("a", "e"), ("a", "e"))

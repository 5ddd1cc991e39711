"""Thinning and balance in the commands: part of the run, of its training alone."""

import json

import pytest

from liver_tf.model.description import load_description
from liver_tf.training.loss_settings import LossSettings
from liver_tf.training.task import task_of
from tests.builders.command_lines import finetune_arguments, pretrain_arguments
from trainers import finetune, pretrain

#: Only the last block and the head are trained, for less tracing.
CYCLE = "enc1-dec2"


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory, record_set, command):
    work = tmp_path_factory.mktemp("sampled")
    arguments = ["--balance=resample", "--keep_without_lesion=0.5"]
    changes = {"records": record_set[0], "run": work / "lesion"}
    assert command(pretrain, *pretrain_arguments(work, **changes), *arguments) == 0
    return work


def test_a_run_records_its_sampling_and_equal_pixel_weights(pretrained):
    identity = json.loads((pretrained / "lesion" / "run.json").read_text())
    assert identity["sampling"] == {
        "keep_without_liver": 1.0,
        "keep_without_lesion": 0.5,
        "resample": True,
        "max_repeats": 10,
    }
    assert identity["task"]["class_weights"] == [1.0] * 5


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--balance=resample"], "--keep_without_lesion: 0.5 before, 1.0 now"),
        (["--balance=none", "--keep_without_lesion=0.5"], "--balance=resample: true before, false"),
        (["--keep_without_lesion=0.5"], "class weights: "),
        (["--balance=resample", "--max_repeats=3"], "--max_repeats: 10 before, 3 now"),
    ],
)
def test_a_run_cannot_resume_with_another_sampling(
    pretrained, record_set, command, capsys, flags, message
):
    changes = {"records": record_set[0], "run": pretrained / "lesion"}
    assert command(pretrain, *pretrain_arguments(pretrained, **changes), *flags) == 1
    err = capsys.readouterr().err
    assert "[run-differs]" in err
    assert message in err


@pytest.mark.long
def test_fine_tuning_takes_the_same_flags(pretrained, record_set, command):
    arguments = finetune_arguments(
        pretrained,
        CYCLE,
        records=record_set[0],
        folds_file="",
        validation_share=0.3,
        keep_without_liver=0,
        keep_without_lesion=0,
        balance="none",
        max_repeats=5,
    )
    assert command(finetune, *arguments) == 0
    run = pretrained / "finetune" / "hold_out" / "seed0" / "mine"
    identity = json.loads((run / "run.json").read_text())
    # Without balance it decides nothing, and is always the same.
    assert identity["sampling"].pop("max_repeats") == 10
    assert set(identity["sampling"].values()) == {0.0}
    assert identity["task"]["class_weights"] == [1.0] * 5


@pytest.mark.long
def test_the_loss_belongs_to_the_run_and_its_weights_to_the_network(
    pretrained, record_set, command
):
    run = pretrained / "loss"
    changes = {"records": record_set[0], "run": run}
    arguments = pretrain_arguments(pretrained, **changes)
    assert command(pretrain, *arguments, "--class_weights=sqrt", "--dice_weight=0.5") == 0
    task = json.loads((run / "run.json").read_text())["task"]
    assert task["dice_weight"] == 0.5
    assert load_description(run).class_weights == tuple(task["class_weights"])
    ratio = max(task["class_weights"]) / min(task["class_weights"])
    assert 8 < ratio < 14, "inverse weights differ by a factor of more than 100"
    assert command(pretrain, *arguments, "--class_weights=sqrt") == 1


@pytest.mark.long
def test_the_standardisation_of_pre_training_can_be_kept(pretrained, record_set, command):
    before = load_description(pretrained / "lesion")
    found = {}
    for kind in ("training", "pretrained"):
        arguments = finetune_arguments(
            pretrained,
            CYCLE,
            records=record_set[0],
            folds_file="",
            seed=1,
            validation_share=0.5,
            protocol=kind,
            standardisation=kind,
        )
        assert command(finetune, *arguments) == 0
        after = load_description(pretrained / "finetune" / "hold_out" / "seed1" / kind)
        found[kind] = after.mean_hu, after.sd_hu
    assert found["pretrained"] == (before.mean_hu, before.sd_hu)
    assert found["training"] != found["pretrained"]


def test_weights_of_the_loss(record_set):
    manifest = record_set[1]
    cases = tuple(entry.case for entry in manifest.cases)
    equal = LossSettings("none")
    assert task_of(manifest, cases, (0, 1, 2, 3, 4), equal).class_weights == (1.0,) * 5
    assert task_of(manifest, cases, (0, 1, 1, 1, 1), equal).class_weights == (1.0,) * 2
    assert max(task_of(manifest, cases, (0, 1, 2, 3, 4)).class_weights) > 5

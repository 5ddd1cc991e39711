"""Thinning and balance in the commands: part of the run, of its training alone."""

import json
from pathlib import Path

import pytest

from liver_tf.pipeline.augmentation.ranges import Ranges
from liver_tf.pipeline.sampling import Sampling
from liver_tf.records.folds import Split
from liver_tf.training.job import Job
from liver_tf.training.task import task_of
from tests.builders.command_lines import finetune_arguments, pretrain_arguments
from trainers import finetune, pretrain


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory, record_set, command):
    work = tmp_path_factory.mktemp("sampled")
    arguments = ["--balance=resample", "--keep_without_lesion=0.5"]
    changes = {"records": record_set[0], "run": work / "lesion"}
    assert command(pretrain, *pretrain_arguments(work, **changes), *arguments) == 0
    return work


def test_a_run_tells_its_sampling_and_weighs_all_pixels_the_same(pretrained):
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
        (["--balance=resample"], "sampling.keep_without_lesion: 0.5 then, 1.0 now"),
        (["--balance=none", "--keep_without_lesion=0.5"], "sampling.resample: true then, false"),
        (["--keep_without_lesion=0.5"], "task.class_weights"),
        (["--balance=resample", "--max_repeats=3"], "sampling.max_repeats: 10 then, 3 now"),
    ],
)
def test_a_run_is_not_gone_on_with_under_another(
    pretrained, record_set, command, capsys, flags, message
):
    changes = {"records": record_set[0], "run": pretrained / "lesion"}
    assert command(pretrain, *pretrain_arguments(pretrained, **changes), *flags) == 1
    err = capsys.readouterr().err
    assert "[run-differs]" in err
    assert message in err


def test_fine_tuning_takes_the_same_flags(pretrained, record_set, command):
    arguments = finetune_arguments(
        pretrained,
        "none",
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


def test_only_training_is_thinned_and_both_parts_share_the_memory(record_set):
    folder, manifest = record_set
    cases = tuple(entry.case for entry in manifest.cases)
    fields = dict.fromkeys(("protocol", "computation", "label_set", "task"))

    def parts(cache_mb):
        job = Job(
            **fields,
            kind="lesion",
            records=Path(folder),
            manifest=manifest,
            split=Split(cases[:5], cases[5:]),
            mapping=(0, 1, 2, 3, 4),
            architecture=type("Size", (), {"image_size": 32}),
            ranges=Ranges(),
            sampling=Sampling(keep_without_lesion=0.0, resample=True),
            seed=0,
            cache_mb=cache_mb,
            augment_on_host=True,
            deterministic=True,
        ).part()
        return job.training(4), job.validation(3)

    training, validation = parts(64)
    healthy = sum(entry.diagnosis == "healthy" for entry in manifest.cases[:5])
    assert healthy
    assert training.slices_in(0) == 2 * (5 - healthy)
    assert validation.slices_in(0) == validation.examples == 6
    assert [images.shape[0] for images, _, _ in validation.epoch(0)] == [3, 3]
    # 10 slices of training and 6 of validation, 5 KiB each.
    sizes = 10 * 5 / 1024, 6 * 5 / 1024

    def held(cache_mb):
        return tuple(part.held_mb for part in parts(cache_mb))

    assert held(64) == pytest.approx(sizes)
    # Then there is no room left for those of validation; then for those of training.
    assert held(0.05) == pytest.approx((sizes[0], 0))
    assert held(0.03) == pytest.approx((0, sizes[1]))
    assert held(0.02) == (0, 0)


def test_weights_of_the_loss(record_set):
    manifest = record_set[1]
    cases = tuple(entry.case for entry in manifest.cases)
    assert task_of(manifest, cases, (0, 1, 2, 3, 4), weighted=False).class_weights == (1.0,) * 5
    assert task_of(manifest, cases, (0, 1, 1, 1, 1), weighted=False).class_weights == (1.0,) * 2
    assert max(task_of(manifest, cases, (0, 1, 2, 3, 4)).class_weights) > 5

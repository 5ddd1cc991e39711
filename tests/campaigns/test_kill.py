"""The short form of the kill campaign, and tests that the campaign detects damage."""

from __future__ import annotations

import random
import shutil

import pytest

from liver_tf.model.weights_file import save_weights
from liver_tf.phantom.phantom_plan import PhantomPlan
from tests.campaigns import full_disk, kill_conversion, kill_training
from tests.campaigns.kill_conversion import Conversion
from tests.campaigns.kill_training import Kill
from tests.campaigns.victims import spread, visible_files


@pytest.fixture(scope="module")
def conversion(tmp_path_factory):
    plan = PhantomPlan(seed=5, lits_volumes=0, patients=9, matrix=64)
    return Conversion(tmp_path_factory.mktemp("conversion"), plan)


@pytest.mark.long
def test_killed_conversions_resume_to_the_same_files(conversion, tmp_path):
    kills = [(0.9 * conversion.duration_s, "worker"), (0.8 * conversion.duration_s, "parent")]
    outcome = kill_conversion.campaign(conversion, tmp_path, kills, chain=2)
    assert outcome.wrong == []
    assert outcome.same == outcome.chains
    assert outcome.kills.total() == 2
    assert outcome.kills["group"] == 0


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda set_: (set_ / "folds.json").write_text("{"), "folds.json differs"),
        (lambda set_: next(set_.glob("c-*")).write_bytes(b""), "tfrecord differs"),
        (lambda set_: next(set_.glob("c-*")).unlink(), "fewer shards than it lists"),
        (lambda set_: (set_ / "manifest.json").unlink(), "folds stand without a manifest"),
        (lambda set_: (set_ / "c-0.tfrecord").write_bytes(b"1"), "c-0.tfrecord differs"),
        (lambda set_: (set_ / "folds.json").unlink(), None),
        (lambda set_: (set_ / ".partial-folds.json").write_text("{"), None),
    ],
)
def test_half_written_files_are_detected(conversion, tmp_path, damage, message):
    folder = tmp_path / "set"
    for name, data in conversion.reference.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    assert conversion.half_written(folder) == []
    damage(folder)
    assert ([] if message is None else [message]) == [
        message for line in conversion.half_written(folder) if message in line
    ]


@pytest.mark.long
def test_a_full_disk_is_refused_and_the_conversion_resumes(tmp_path):
    reason = full_disk.why_not()
    if reason:
        pytest.skip(reason)
    assert full_disk.in_a_namespace(tmp_path, points=2, training=False) == []


def test_disk_sizes_end_one_page_below_the_needed_size():
    assert full_disk.sizes(30, 6) == [1, 7, 14, 21, 28, 29]
    assert full_disk.pages_of({"a": b"", "b": b"1", "c": bytes(4096), "d": bytes(4097)}) == 4


def test_moments_cover_the_whole_duration():
    moments = spread(10, 50.0, random.Random(1))
    assert sorted(int(moment // 5) for moment in moments) == list(range(10))
    assert moments != sorted(moments)


@pytest.mark.long
def test_a_training_killed_between_cycles_resumes_to_the_same_weights(record_set, tmp_path):
    """``tests/training/test_protocol_run.py`` has the quick forms."""
    run = kill_training.Run(tmp_path, record_set[0], cycles=2, side_by_side=1)
    plans = [[Kill(file="cycle1/cycle.json")]]
    outcome = kill_training.campaign(run, tmp_path, plans, side_by_side=1)
    assert outcome.wrong == []
    assert (outcome.kills, outcome.same, outcome.runs) == (1, 1, 1)


def test_the_campaign_detects_other_weights_and_damaged_files(make_network, tmp_path):
    undisturbed = tmp_path / "undisturbed" / "run"
    for number in (1, 2):
        cycle = undisturbed / f"cycle{number}"
        cycle.mkdir(parents=True)
        save_weights(cycle / "best.npz", make_network("lesion", seed=number).model)
        (cycle / "history.csv").write_text("epoch\n1\n")
        (cycle / "cycle.json").write_text('{"best_epoch": 1, "seconds": 0.5}')
    shutil.copy(undisturbed / "cycle2" / "best.npz", undisturbed / "weights.npz")
    (undisturbed / "run.json").write_text("{}")
    result = kill_training.result_of(undisturbed)
    broken = shutil.copytree(undisturbed, tmp_path / "broken")
    assert kill_training.result_of(broken) == result
    shutil.copy(broken / "cycle1" / "best.npz", broken / "weights.npz")
    assert kill_training.result_of(broken) != result
    assert kill_training.half_written(broken) == []
    (broken / "weights.npz").write_bytes((broken / "weights.npz").read_bytes()[:-20])
    (broken / "cycle2" / "best.npz").unlink()
    wrong = kill_training.half_written(broken)
    assert len(wrong) == 2
    assert "weights-damaged" in wrong[0]
    assert wrong[1] == "cycle2 is marked as finished but has no best.npz"
    assert "run.json" in visible_files(broken)

"""The short form of the kill campaign, and that the campaign sees what it is there to see."""

from __future__ import annotations

import random
import shutil

import pytest

from liver_tf.phantom.phantom_plan import PhantomPlan
from tests.builders import tiny_run
from tests.campaigns import full_disk, kill_conversion, kill_training, six_cycles
from tests.campaigns.kill_conversion import Conversion
from tests.campaigns.kill_training import Kill
from tests.campaigns.victims import spread, visible_files


@pytest.fixture(scope="module")
def conversion(tmp_path_factory):
    plan = PhantomPlan(seed=5, lits_volumes=0, patients=9, matrix=64)
    return Conversion(tmp_path_factory.mktemp("conversion"), plan)


def test_killed_conversions_end_as_undisturbed(conversion, tmp_path):
    kills = [(0.9 * conversion.duration_s, "worker"), (0.8 * conversion.duration_s, "parent")]
    outcome = kill_conversion.campaign(conversion, tmp_path, kills, chain=2)
    assert outcome.wrong == []
    assert outcome.same == outcome.chains
    assert outcome.kills.total() == 2
    assert outcome.kills["group"] == 0


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda set_: (set_ / "folds.json").write_text("{"), "folds.json differs"),
        (lambda set_: next(set_.glob("c-*")).write_bytes(b""), "tfrecord differs"),
        (lambda set_: next(set_.glob("c-*")).unlink(), "less than it tells of"),
        (lambda set_: (set_ / "manifest.json").unlink(), "folds stand without a manifest"),
        (lambda set_: (set_ / "c-0.tfrecord").write_bytes(b"1"), "c-0.tfrecord differs"),
        (lambda set_: (set_ / "folds.json").unlink(), None),
        (lambda set_: (set_ / ".partial-folds.json").write_text("{"), None),
    ],
)
def test_half_written_files_are_seen(conversion, tmp_path, harm, words):
    folder = tmp_path / "set"
    for name, data in conversion.reference.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    assert conversion.half_written(folder) == []
    harm(folder)
    assert ([] if words is None else [words]) == [
        words for line in conversion.half_written(folder) if words in line
    ]


def test_a_disk_that_fills_up(tmp_path):
    reason = full_disk.why_not()
    if reason:
        pytest.skip(reason)
    assert full_disk.in_a_namespace(tmp_path, points=2, training=False) == []


def test_sizes_end_one_page_below_what_is_needed():
    assert full_disk.sizes(30, 6) == [1, 7, 14, 21, 28, 29]
    assert full_disk.pages_of({"a": b"", "b": b"1", "c": bytes(4096), "d": bytes(4097)}) == 4


def test_moments_cover_the_whole_duration():
    moments = spread(10, 50.0, random.Random(1))
    assert sorted(int(moment // 5) for moment in moments) == list(range(10))
    assert moments != sorted(moments)


@pytest.mark.long
def test_a_training_killed_at_a_cycles_border_ends_as_undisturbed(record_set, tmp_path):
    """``tests/training/test_protocol_run.py`` has the quick forms."""
    run = kill_training.Run(tmp_path, record_set[0], cycles=2, side_by_side=1)
    plans = [[Kill(file="cycle1/cycle.json")]]
    outcome = kill_training.campaign(run, tmp_path, plans, side_by_side=1)
    assert outcome.wrong == []
    assert (outcome.kills, outcome.same, outcome.runs) == (1, 1, 1)


def test_the_campaign_detects_other_weights_and_damaged_files(record_set, tmp_path):
    undisturbed = tmp_path / "undisturbed" / "run"
    tiny_run.carry_out(undisturbed, record_set[0], six_cycles.protocol(2))
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
    assert wrong[1] == "cycle2 says that it is finished, without best.npz"
    assert "run.json" in visible_files(broken)

"""The short form of the hostile campaigns, and tests that they detect faulty readers."""

from __future__ import annotations

import json

import pytest

from liver_tf.phantom.phantom_plan import PhantomPlan
from liver_tf.records.folds import cross_validation, save_folds
from liver_tf.serving import served_answer
from tests.builders import tiny_records
from tests.builders.bundled_runs import save_run
from tests.campaigns import bombs, flipped_bits, hostile_server, two_writers
from tests.campaigns.kill_conversion import Conversion


@pytest.mark.parametrize("count", [150, pytest.param(1000, marks=pytest.mark.long)])
def test_answers_of_a_hostile_server_are_refused(tmp_path, count):
    outcomes, wrong = hostile_server.campaign(tmp_path, count, seed=1)
    assert wrong == []
    assert outcomes.total() == count
    assert outcomes["answer-invalid"] > count // 3
    assert outcomes["no-answer"] > count // 20
    assert outcomes["other-model"] > 0


def test_a_client_that_accepts_anything_is_detected(tmp_path, monkeypatch):
    monkeypatch.setattr(served_answer, "_check_answer", lambda *arguments: None)
    _, wrong = hostile_server.campaign(tmp_path, 60, seed=1)
    assert wrong


def test_flipped_bits_in_models_are_refused(tmp_path):
    model = hostile_server.write_model(tmp_path / "1")
    outcomes, wrong = flipped_bits.campaign(model, flipped_bits.read_model, 90, seed=1)
    assert wrong == []
    assert outcomes["checksum-differs"] >= 80
    (model / "SHA256SUMS").unlink()  # as an earlier version wrote it
    assert flipped_bits.campaign(model, flipped_bits.read_model, 9, seed=1)[1]


def test_flipped_bits_in_runs_are_refused(tmp_path):
    run = save_run(tmp_path / "run", "typed")
    outcomes, wrong = flipped_bits.campaign(run, flipped_bits.read_run, 8, seed=1)
    assert wrong == []
    assert outcomes == {"checksum-differs": 8}


@pytest.mark.long
def test_flipped_bits_in_record_sets_are_refused(tmp_path):
    manifest = tiny_records.write_set(tmp_path, patients=8, slices=1)
    splits = cross_validation(manifest, folds=2, validation_share=0.3, seed=0)
    save_folds(tmp_path / "folds.json", manifest, splits, {})
    outcomes, wrong = flipped_bits.campaign(tmp_path, flipped_bits.read_records, 120, seed=1)
    assert wrong == []
    assert min(outcomes["manifest-damaged"], outcomes["folds-damaged"]) >= 10
    for name in ("manifest.json", "folds.json"):  # as an earlier version wrote them
        content = json.loads((tmp_path / name).read_text())
        del content["checksum"]
        (tmp_path / name).write_text(json.dumps(content))
    assert flipped_bits.campaign(tmp_path, flipped_bits.read_records, 1500, seed=1)[1]


@pytest.mark.long
def test_two_conversions_into_one_folder(tmp_path):
    conversion = Conversion(tmp_path, PhantomPlan(seed=5, lits_volumes=0, patients=9, matrix=64))
    outcomes, wrong = two_writers.campaign(conversion, tmp_path, 1, seed=1)
    assert wrong == []
    assert outcomes.total() == 1


def is_text(name):
    return "nested" in name or name in ("class names", "flag files")


@pytest.mark.long
def test_bombs_of_text_are_refused(tmp_path):
    outcomes, wrong = bombs.campaign(tmp_path, is_text)
    assert wrong == []
    assert outcomes.total() == 18
    assert set(outcomes) >= {"model-damaged", "manifest-damaged", "refused flag"}


@pytest.mark.long
def test_compressed_bombs_are_refused(tmp_path):
    outcomes, wrong = bombs.campaign(tmp_path, lambda name: not is_text(name))
    assert wrong == []
    assert outcomes.total() == 5


def test_a_reader_without_a_bound_is_detected(tmp_path, monkeypatch):
    monkeypatch.setattr(bombs, "load_description", lambda folder: None)
    read = bombs.make_reader(tmp_path, ["class names"], 0)
    assert read(0) == "WRONG it was read"

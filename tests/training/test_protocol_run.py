"""An interrupted run resumes and ends with the same weights, bit for bit."""

import csv
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from liver_tf import run_files
from liver_tf.model import unet
from liver_tf.model.architecture import Architecture
from liver_tf.model.block_weights import block_hashes
from liver_tf.model.description import load_network
from liver_tf.model.weights_file import load_arrays, save_arrays, stored_hash
from liver_tf.refusals import Refusal, TrainingStopped
from liver_tf.training import compiled_steps, cycle, open_cycle, protocol_run
from liver_tf.training.cycle_state import CycleState, load_state, save_state
from liver_tf.training.protocol import SCRATCH, Protocol
from liver_tf.training.protocol_run import is_finished
from tests.builders import tiny_run

FIXED = ("enc1", "enc2", "enc3")


@pytest.fixture(scope="module")
def undisturbed(record_set, tmp_path_factory):
    """Folder, final hashes and results of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    return folder, *tiny_run.train(folder, record_set[0])


def final_hash(folder):
    return stored_hash(folder / "weights.npz")


def test_a_run_writes_exactly_its_documented_files(undisturbed):
    folder, hashes, results = undisturbed
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    logs = {name for name in files if "tensorboard" in name}
    cycles = {
        f"cycle{number}/{name}"
        for number in (1, 2)
        for name in ("best.npz", "cycle.json", "history.csv", "key")
    }
    assert files - logs == {"run.json", "model.json", "weights.npz", "SHA256SUMS"} | cycles
    assert len(logs) == 2
    assert is_finished(folder)
    loaded, description = load_network(folder)
    assert block_hashes(loaded) == hashes
    assert description.label_set.classes[2] == "cyst"
    assert [result["fixed"] for result in results] == [[], list(FIXED)]


def test_frozen_blocks_are_bit_identical_and_the_others_changed(undisturbed):
    folder, _, results = undisturbed
    result = results[1]
    assert result["hashes_before"] == results[0]["hashes_after"]
    before, after = result["hashes_before"], result["hashes_after"]
    assert {block for block in before if before[block] == after[block]} == set(FIXED)
    first, last = (load_arrays(folder / f"cycle{number}" / "best.npz") for number in (1, 2))
    for name, array in first.items():
        same = array.tobytes() == last[name].tobytes()
        assert same == (name.split("_")[0] in FIXED), name


def test_history_contains_learning_rate_losses_and_dice(undisturbed):
    folder, _, results = undisturbed
    with open(folder / "cycle1" / "history.csv", newline="") as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert [row["learning_rate"] for row in rows] == pytest.approx([3e-3, 3e-3, 2.7e-3])
    best = min(rows, key=lambda row: row["val_loss"])
    assert results[0]["best_epoch"] == best["epoch"]
    assert results[0]["best_value"] == pytest.approx(best["val_loss"])
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert all(0 <= row["waiting_share"] < 1 for row in rows)
    assert all(row["core_seconds"] > 0 for row in rows)
    assert {"val_dice", "val_dice_liver", "val_dice_cyst", "val_dice_any_lesion"} <= set(rows[0])


def test_a_finished_run_is_not_trained_again(undisturbed, record_set, monkeypatch):
    folder, _, _ = undisturbed
    monkeypatch.setattr(protocol_run, "train_cycle", lambda *a, **k: pytest.fail("trained again"))
    lines = []
    hashes, _ = tiny_run.train(folder, record_set[0], say=lines.append)
    assert "already finished" in lines[0]
    assert hashes == undisturbed[1]


def test_damaged_final_weights_are_written_again(undisturbed, record_set, tmp_path):
    folder = shutil.copytree(undisturbed[0], tmp_path / "parent" / "run")
    intact_hash = stored_hash(folder / "weights.npz")
    for name, data in (("weights.npz", b"PK"), ("model.json", b"{")):
        (folder / name).write_bytes(data)
        assert not is_finished(folder)
        tiny_run.train(folder, record_set[0])
        assert is_finished(folder)
        assert stored_hash(folder / "weights.npz") == intact_hash


def test_a_cycle_that_does_not_follow_from_the_one_before_is_refused(
    undisturbed, record_set, tmp_path
):
    """Intact files in the wrong place: only the hashes that the cycles record reveal them."""
    folder = shutil.copytree(undisturbed[0], tmp_path / "parent" / "run")
    (folder / "weights.npz").unlink()
    shutil.copyfile(folder / "cycle2/best.npz", folder / "cycle1/best.npz")
    with pytest.raises(Refusal, match=r"\[cycle-differs\].*best weights are not those") as refusal:
        tiny_run.train(folder, record_set[0])
    assert refusal.value.path == folder / "cycle1"
    (folder / "cycle1/cycle.json").write_text("{}")
    with pytest.raises(Refusal, match=r"\[cycle-differs\].*cannot be read"):
        tiny_run.train(folder, record_set[0])
    shutil.copytree(undisturbed[0] / "cycle2", folder / "cycle1", dirs_exist_ok=True)
    with pytest.raises(Refusal, match=r"\[cycle-differs\].*started from other weights"):
        tiny_run.train(folder, record_set[0])


def test_a_damaged_cycle_of_another_run_is_not_copied(undisturbed, record_set, tmp_path):
    neighbour = shutil.copytree(undisturbed[0], tmp_path / "beside")
    best = bytearray((neighbour / "cycle1/best.npz").read_bytes())
    best[len(best) // 2] ^= 1
    (neighbour / "cycle1/best.npz").write_bytes(best)
    lines = []
    tiny_run.train(tmp_path / "run", record_set[0], say=lines.append)
    copied = [line for line in lines if "copied from there" in line]
    assert len(copied) == 1  # the second cycle, which is intact
    assert final_hash(tmp_path / "run") == final_hash(undisturbed[0])


class PowerCut(Exception):
    """Simulates the end of the process."""


def test_crashes_at_the_worst_moments_change_no_bit(undisturbed, record_set, tmp_path, monkeypatch):
    """One run crashes four times; each time the same call resumes it."""
    folder = tmp_path / "parent" / "run"

    def crash_in(owner, name, call, *, after=False):
        """Let the ``call``-th call of a function crash, before or after its work."""
        original, calls = getattr(owner, name), []

        def crashing(*arguments, **more):
            calls.append(1)
            if len(calls) < call:
                return original(*arguments, **more)
            if after:
                original(*arguments, **more)
            raise PowerCut

        with monkeypatch.context() as patch:
            patch.setattr(owner, name, crashing)
            with pytest.raises(PowerCut):
                tiny_run.train(folder, record_set[0])

    # Before the first epoch ends; at the end of a cycle, when only its key is not yet written.
    crash_in(cycle, "train_epoch", 1)
    crash_in(protocol_run, "cycle_summary", 1)
    # After an epoch of the second cycle; before the last file of the run.
    crash_in(open_cycle, "save_state", 1, after=True)
    crash_in(protocol_run.Description, "save", 1)
    assert not is_finished(folder)
    lines = []
    tiny_run.train(folder, record_set[0], say=lines.append)
    assert ["already finished" in line for line in lines] == [True, True]
    assert final_hash(folder) == final_hash(undisturbed[0])
    for number in (1, 2):
        name = f"cycle{number}/cycle.json"
        ours, theirs = (json.loads((run / name).read_text()) for run in (folder, undisturbed[0]))
        assert {**ours, "seconds": 0} == {**theirs, "seconds": 0}


@pytest.mark.long  # the short tests simulate the same interruptions in one process
def test_a_killed_process_changes_no_bit(undisturbed, record_set, tmp_path):
    folder = tmp_path / "parent" / "run"
    root = Path(tiny_run.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, tiny_run.__file__, str(folder), str(record_set[0])],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (folder / "cycle1" / "state.npz").exists()
    assert not is_finished(folder)
    # Copy the second cycle: the result of the first is sufficient here.
    shutil.copytree(undisturbed[0] / "cycle2", folder / "cycle2")
    tiny_run.train(folder, record_set[0])
    first_cycle = undisturbed[0] / "cycle1" / "best.npz"
    assert stored_hash(folder / "cycle1" / "best.npz") == stored_hash(first_cycle)


@pytest.mark.long
def test_a_full_disk_stops_the_run_and_free_space_lets_it_resume(undisturbed, record_set, tmp_path):
    """The kernel limits the file size in the second epoch; finished files are kept.

    Resumed with the same seed, the run ends with the same weights.
    """
    folder = tmp_path / "parent" / "run"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(line):
        if "epoch 1 of 3" in line:
            resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))

    one_cycle = Protocol("two", SCRATCH, tiny_run.TWO_CYCLES.cycles[:1])
    try:
        with pytest.raises(Refusal) as stopped:
            tiny_run.train(folder, record_set[0], one_cycle, say=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert stopped.value.code == "disk-full"
    assert "found File too large. Free some space" in str(stopped.value)
    assert json.loads(str(load_arrays(folder / "cycle1" / "state.npz")["memo"]))["epoch"] == 1
    assert not list(folder.rglob(".partial-*"))
    tiny_run.train(folder, record_set[0], one_cycle)
    assert final_hash(folder) == stored_hash(undisturbed[0] / "cycle1" / "best.npz")


def test_cycles_that_two_protocols_share_are_computed_once(
    undisturbed, record_set, tmp_path, monkeypatch
):
    """A run copies the leading cycles of a neighbouring run as long as they are identical."""
    shutil.copytree(undisturbed[0], tmp_path / "first")
    started_from = []

    def stop(setup, planned):
        started_from.append((planned.folder.name, block_hashes(setup.model)))
        raise PowerCut

    monkeypatch.setattr(protocol_run, "train_cycle", stop)
    lines = []
    tiny_run.train(tmp_path / "same", record_set[0], say=lines.append)
    assert (
        lines[0] == "two, cycle 1 of 2 (frozen: none): identical to first/cycle1, copied from there"
    )
    assert final_hash(tmp_path / "same") == final_hash(undisturbed[0])
    # Another second cycle starts from the weights of the shared first one.
    first, second = tiny_run.TWO_CYCLES.cycles
    other = Protocol("other", SCRATCH, (first, replace(second, fixed=("enc1",))))
    with pytest.raises(PowerCut):
        tiny_run.train(tmp_path / "other", record_set[0], other)
    assert started_from.pop() == ("cycle2", undisturbed[2][0]["hashes_after"])
    # Another batch size, other data, or a first cycle without its result share nothing.
    small = Protocol("small", SCRATCH, (replace(first, batch_size=2), second))
    with pytest.raises(PowerCut):
        tiny_run.train(tmp_path / "small", record_set[0], small)
    with pytest.raises(PowerCut):
        tiny_run.train(tmp_path / "data", record_set[0], data_fingerprint="other")
    for folder in ("first", "same", "other"):
        (tmp_path / folder / "cycle1" / "cycle.json").unlink()
    with pytest.raises(PowerCut):
        tiny_run.train(tmp_path / "unfinished", record_set[0])
    assert [name for name, _ in started_from] == ["cycle1"] * 3


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_weights(record_set, tmp_path):
    # Epoch 1 is normal; in epoch 2 the learning rate is 3e-3 x 1e38.
    exploding = Protocol("two", SCRATCH, (tiny_run.cycle(decay=1e38, decay_epochs=1),))
    with pytest.raises(
        TrainingStopped,
        match=r"is not finite in epoch 2 .*none.* last good weights are in "
        r"cycle1/best\.npz \(epoch 1\)",
    ):
        tiny_run.train(tmp_path / "run", record_set[0], exploding)
    assert not is_finished(tmp_path / "run")
    assert not (tmp_path / "run" / "cycle1" / "cycle.json").exists()
    for name in ("best.npz", "state.npz"):
        arrays = load_arrays(tmp_path / "run" / "cycle1" / name)
        assert all(np.isfinite(array).all() for array in arrays.values() if array.ndim)


def changing_all_weights(model, optimiser, task, **options):
    """Replacement for a training step: changes every weight, frozen or not."""

    def step(images, labels, parameters):
        for weight in model.weights:
            weight.assign_add(tf.ones_like(weight) / 64)
        return tf.constant(1.0)

    step.prepare = lambda *batch: None
    return step


def test_a_frozen_block_that_changes_stops_the_run(record_set, tmp_path, monkeypatch):
    monkeypatch.setattr(compiled_steps, "training_step", changing_all_weights)
    monkeypatch.setattr(cycle, "validate", lambda *a: {"val_loss": 1.0, "val_dice": 0.5})
    wrong = Protocol("two", SCRATCH, (tiny_run.cycle(("enc2", "dec1"), epochs=1),))
    with pytest.raises(TrainingStopped, match="frozen blocks changed during the cycle: enc2, dec1"):
        tiny_run.train(tmp_path / "run", record_set[0], wrong, retrace=True)
    assert not (tmp_path / "run" / "cycle1" / "cycle.json").exists()


@pytest.mark.parametrize(
    ("monitor", "values", "best"),
    [
        ("val_loss", [1.0, 0.8, 0.9, 0.8, 0.1], 2),
        pytest.param("val_dice", [0.3, 0.5, 0.5, 0.4, 0.9], 2, marks=pytest.mark.long),
    ],
)
def test_early_stopping_keeps_the_best_epoch(
    record_set, tmp_path, monkeypatch, monitor, values, best
):
    """With patience 2 the better fifth epoch is never reached."""
    models, remaining = [], iter(values)

    def scripted(step, batches, classes):
        return {"val_loss": 1.0, "val_dice": 0.5, monitor: next(remaining)}

    original = open_cycle.save_state

    def recording(path, model, variables, state):
        models.append(block_hashes(model))
        original(path, model, variables, state)

    monkeypatch.setattr(compiled_steps, "training_step", changing_all_weights)
    monkeypatch.setattr(cycle, "validate", scripted)
    monkeypatch.setattr(open_cycle, "save_state", recording)
    protocol = Protocol(
        "two", SCRATCH, (tiny_run.cycle(epochs=5, patience=2, batch_size=9, monitor=monitor),)
    )
    hashes, (result,) = tiny_run.train(tmp_path / "run", record_set[0], protocol, retrace=True)
    assert (result["epochs"], result["best_epoch"]) == (4, best)
    assert result["best_value"] == values[best - 1]
    assert hashes == models[best - 1]
    assert len(set(map(str, models))) == 4


@pytest.mark.parametrize(
    ("start", "best"), [pytest.param(0.4, 0, marks=pytest.mark.long), (0.9, 2)]
)
def test_the_start_of_a_cycle_is_kept_if_no_epoch_is_better(
    record_set, tmp_path, monkeypatch, start, best
):
    remaining = iter([start, 0.8, 0.5, 0.6, 0.7])
    monkeypatch.setattr(compiled_steps, "training_step", changing_all_weights)
    monkeypatch.setattr(cycle, "validate", lambda *a: {"val_loss": next(remaining), "val_dice": 0})
    settings = tiny_run.cycle(epochs=5, patience=2, batch_size=9, keep_start=True)
    _, (result,) = tiny_run.train(
        tmp_path / "run", record_set[0], Protocol("two", SCRATCH, (settings,)), retrace=True
    )
    assert result["best_epoch"] == best
    assert result["best_value"] == (0.5 if best else start)
    # Without improvement, patience counts from the start.
    assert result["epochs"] == (4 if best else 2)
    assert (result["hashes_after"] == result["hashes_before"]) == (best == 0)


@pytest.mark.long
def test_a_cosine_without_early_stopping_resumes_bit_for_bit(record_set, tmp_path, monkeypatch):
    settings = tiny_run.cycle(
        epochs=2, patience=0, monitor="epoch", schedule="cosine", warmup_epochs=0.5
    )
    cosine = Protocol("cosine", SCRATCH, (settings,))
    hashes, (result,) = tiny_run.train(tmp_path / "whole" / "run", record_set[0], cosine)
    assert (result["epochs"], result["best_epoch"]) == (2, 2)
    original = cycle.train_epoch

    def crashing(*arguments):
        if arguments[4] == 1:
            raise PowerCut
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(cycle, "train_epoch", crashing)
        with pytest.raises(PowerCut):
            tiny_run.train(tmp_path / "cut" / "run", record_set[0], cosine)
    assert tiny_run.train(tmp_path / "cut" / "run", record_set[0], cosine)[0] == hashes
    stepwise = Protocol("step", SCRATCH, (replace(settings, schedule="step"),))
    assert tiny_run.train(tmp_path / "step" / "run", record_set[0], stepwise)[0] != hashes


def model_with_optimiser(seed):
    model = unet.build(Architecture(16, 1, 2), seed)
    optimiser = keras.optimizers.Adam(1e-3)
    optimiser.build(model.trainable_variables)
    return model, optimiser


@pytest.fixture(scope="module")
def saved_state():
    """Model, optimiser and progress of a cycle after its seventh epoch."""
    model, optimiser = model_with_optimiser(0)
    history = [{"epoch": number, "loss": 0.1} for number in range(1, 8)]
    return model, optimiser, CycleState(7, 5, 0.25, history, block_hashes(model))


def test_state_is_restored_with_optimiser_and_progress(saved_state, tmp_path):
    model, optimiser, progress = saved_state
    generator = np.random.default_rng(0)
    for variable in optimiser.variables:
        variable.assign(generator.uniform(1, 9, variable.shape).astype(variable.dtype))
    path = run_files.cycle_folder(tmp_path, 1) / run_files.STATE
    save_state(path, model, optimiser.variables, progress)
    assert run_files.finished_epochs(tmp_path) == (0, 7)
    other, other_optimiser = model_with_optimiser(1)
    assert load_state(path, other, other_optimiser.variables) == progress
    assert block_hashes(other) == block_hashes(model)
    for saved, restored in zip(optimiser.variables, other_optimiser.variables, strict=True):
        assert saved.numpy().tobytes() == restored.numpy().tobytes()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("optimiser/3", None),
        ("optimiser/3", np.zeros((2, 7), np.float32)),
        ("optimiser/3", np.array("text")),
        ("model/enc1_conv1/kernel", None),
        ("model/enc1_conv1/kernel", np.zeros((2, 2), np.float32)),
        ("model/enc1_conv1/kernel", np.array("text")),
        ("progress", None),
        ("progress", np.zeros(3)),
        ("progress", "[" * 100_000),
        *(("progress", value) for value in ("", "[]", "3", "null", "{}{", '{"more": 1}')),
        ("epoch", "7"),
        ("epoch", -7),
        ("epoch", 6),
        ("epoch", True),
        ("best_epoch", 8),
        ("best_epoch", None),
        ("best_value", "low"),
        ("history", None),
        ("history", [3] * 7),
        ("history", [{"loss": 0.1}] * 7),
        ("hashes_before", None),
        ("hashes_before", []),
        ("hashes_before", {"enc1": "abc"}),
    ],
)
def test_a_state_with_another_content_is_refused_although_its_hash_matches(
    saved_state, tmp_path, name, value
):
    model, optimiser, progress = saved_state
    path = run_files.cycle_folder(tmp_path, 1) / run_files.STATE
    save_state(path, model, optimiser.variables, progress)
    arrays = load_arrays(path)
    fields = json.loads(str(arrays[run_files.STATE_PROGRESS]))
    if name in fields:
        name, value = "progress", json.dumps({**fields, name: value})
    if name == "progress":
        name = run_files.STATE_PROGRESS
    if value is None:
        del arrays[name]
    else:
        arrays[name] = np.array(value)
    save_arrays(path, arrays)
    with pytest.raises(Refusal, match=r"\[weights-damaged\].*Delete this file and resume"):
        load_state(path, model, optimiser.variables)
    assert run_files.finished_epochs(tmp_path)[0] == 0

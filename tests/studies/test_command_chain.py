"""Chains of commands: the demo and the phantom study, and how a chain resumes."""

import importlib
import json
from pathlib import Path

import pytest

from liver_tf import folder_lock
from liver_tf.command_line.flags_of_options import parse
from liver_tf.command_line.run_command import settings_class
from liver_tf.folder_lock import locked_folder
from liver_tf.refusals import Refusal
from liver_tf.studies import command_chain
from liver_tf.studies.command_chain import ChainStep, format_duration, run_chain
from liver_tf.studies.demo import demo_steps, run_demo
from liver_tf.studies.phantom_study import PhantomStudySettings, phantom_study_steps
from liver_tf.studies.train_weights import TrainWeightsSettings, train_weights_steps
from liver_tf.studies.transfer.transfer_settings import TransferSettings
from liver_tf.studies.transfer.transfer_study import run_transfer_study

CHAINS = {
    "demo": demo_steps(),
    "phantom_study": phantom_study_steps(PhantomStudySettings(folder=Path("somewhere"))),
    "train_weights": train_weights_steps(TrainWeightsSettings(folder=Path("somewhere"))),
}

#: Flags that name something which an earlier step must have written.
INPUTS = (
    *("--input", "--records", "--roi_records", "--whole_records", "--pretrained", "--liver_run"),
    *("--run", "--model", "--measures", "--folds_file"),
)


def steps():
    for chain, of_chain in CHAINS.items():
        for step in of_chain:
            yield pytest.param(step, id=f"{chain}-{step.name}")


@pytest.mark.parametrize("step", steps())
def test_a_step_is_a_command_with_flags_that_it_has(step):
    name, *arguments = step.command
    parse(settings_class(importlib.import_module(name).main), arguments)


@pytest.mark.parametrize("chain", CHAINS)
def test_what_a_step_reads_is_written_by_an_earlier_step(chain):
    written = set()
    for step in CHAINS[chain]:
        command = step.command[0]
        for argument in step.command:
            name, _, value = argument.partition("=")
            if name in INPUTS and not (command == "trainers.pretrain" and name == "--run"):
                assert any(
                    Path(value).is_relative_to(one.parent) or one.is_relative_to(value)
                    for one in written
                ), argument
        if step.product:
            written.add(step.product)


def test_a_finished_step_is_skipped_until_its_command_or_flag_file_changes(tmp_path, capsys):
    flag_file = tmp_path / "some.flags"
    flag_file.write_text("--a=1\n")
    product = tmp_path / "product"

    def step(**more):
        return ChainStep("one", "a step", 1, "platform", {"flagfile": flag_file, **more})

    assert run_chain([step()], tmp_path, "the chain").names == ["one"]
    assert run_chain([step()], tmp_path, "the chain").names == []
    assert "already done" in capsys.readouterr().out
    assert run_chain([step(more=[1, 2])], tmp_path, "the chain").names == ["one"]
    flag_file.write_text("--a=2\n")
    assert run_chain([step(more=[1, 2])], tmp_path, "the chain").names == ["one"]
    assert json.loads((tmp_path / "done" / "one.json").read_text())[-1] == "--a=2\n"
    # A step whose product is missing runs again; one that must not overwrite it is skipped.
    once = ChainStep("once", "a step", 1, "platform", {}, product, once=True)
    product.touch()
    assert run_chain([once], tmp_path, "the chain").names == []
    product.unlink()
    assert run_chain([once], tmp_path, "the chain").names == ["once"]


def test_a_failed_step_ends_the_chain_and_states_how_to_resume(tmp_path):
    failing = ChainStep("two", "a step", 1, "json.nothing", {})
    with pytest.raises(SystemExit, match="the chain stopped: two ended with status 1"):
        run_chain([failing], tmp_path, "the chain")
    assert not (tmp_path / "done").exists()


def test_steps_beside_each_other_write_to_logs_and_have_their_threads(tmp_path, capfd):
    meeting = tmp_path / "meeting.py"
    # Each waits for the other: one after the other they would time out.
    meeting.write_text(
        "import os, pathlib, sys, time\n"
        "me, other, folder = (a.split('=')[1] for a in sys.argv[1:])\n"
        "(pathlib.Path(folder) / me).touch()\n"
        "for _ in range(600):\n"
        "    if (pathlib.Path(folder) / other).exists(): break\n"
        "    time.sleep(0.1)\n"
        "else: sys.exit(1)\n"
        "print('threads', os.environ.get('OMP_NUM_THREADS'))\n"
    )
    steps = [
        ChainStep(
            *(me, f"step {me}", 1, "meeting"),
            {"me": me, "other": other, "folder": tmp_path},
            beside=me == "b",
            threads=threads,
        )
        for me, other, threads in (("a", "b", 1), ("b", "a", 3))
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path))
        assert run_chain(steps, tmp_path, "the chain").names == ["a", "b"]
        assert run_chain(steps, tmp_path, "the chain").names == []
    logs = [(tmp_path / "logs" / f"{name}.log").read_text() for name in "ab"]
    assert logs == ["threads 1\n", "threads 3\n"]
    out = capfd.readouterr().out
    assert "threads" not in out
    assert "== 2/2 step b" in out


@pytest.mark.parametrize(
    ("seconds", "text"), [(59.6, "1 min 00 s"), (200, "3 min 20 s"), (3900, "1 h 05 min")]
)
def test_durations_have_two_units(seconds, text):
    assert format_duration(seconds) == text


@pytest.mark.parametrize("run", [run_demo, lambda: run_transfer_study(TransferSettings())])
def test_two_chains_in_one_folder_are_refused(tmp_path, monkeypatch, run):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(folder_lock, "_WAIT_SECONDS", 0.0)
    monkeypatch.setattr(command_chain.subprocess, "run", lambda *a, **k: pytest.fail("ran"))
    for name in ("demo", "transfer_study/report"):
        Path(name).mkdir(parents=True)
    with (
        locked_folder(Path("demo")),
        locked_folder(Path("transfer_study/report")),
        pytest.raises(Refusal, match=r"\[output-busy\]"),
    ):
        run()


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000])
def test_a_damaged_mark_is_no_mark(tmp_path, text):
    (tmp_path / "one.json").write_text(text)
    assert command_chain._read_mark(tmp_path / "one.json") is None

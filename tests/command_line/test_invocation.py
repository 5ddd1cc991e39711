"""Suggested commands: in the form in which this one was started, and on standard error only."""

import shlex
import sys

import pytest

from liver_tf.command_line.commands import find_commands
from liver_tf.command_line.flags_of_options import parse
from liver_tf.command_line.invocation import IN_CHAIN, command_line, suggest
from liver_tf.training.training_settings import FinetuneSettings


@pytest.mark.parametrize(
    ("started_as", "expected"),
    [
        (["python3", "bin/liver-tf", "verify"], "liver-tf predict"),
        (["python", "-m", "data_prep.verify"], "python -m trainers.predict"),
        (["python"], "python -m trainers.predict"),
    ],
)
def test_a_suggestion_has_the_form_of_the_command_that_makes_it(monkeypatch, started_as, expected):
    monkeypatch.setattr(sys, "orig_argv", started_as)
    assert command_line("predict") == expected


def test_values_are_quoted_and_unset_ones_left_out(tmp_path):
    records = tmp_path / "K\u00f6ln; rm -rf $HOME"
    flags = {"cycle": ("none", "enc1 epochs=3"), "records": records, "folds_file": None}
    line = command_line("finetune", **flags, dry_run=True, accept_unknown_training=False)
    words = shlex.split(line)
    assert words[:3] == ["python", "-m", "trainers.finetune"]
    settings = parse(FinetuneSettings, words[3:])
    assert settings.cycle == flags["cycle"]
    assert settings.records == records
    assert settings.dry_run


def test_every_command_can_be_suggested():
    for name, command in find_commands().items():
        assert command_line(name) == f"python -m {command.module}"
    with pytest.raises(LookupError):
        command_line("predikt")


def test_suggestions_are_kept_out_of_pipes_and_chains(capsys, monkeypatch):
    suggest("predict", input="SCAN")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "Next: python -m trainers.predict --input=SCAN\n"
    suggest("verify", "and other flags as here", source="lits")
    line = "Next: python -m data_prep.verify --source=lits (and other flags as here)\n"
    assert capsys.readouterr().err == line
    monkeypatch.setenv(IN_CHAIN, "1")
    suggest("predict")
    assert capsys.readouterr().err == ""

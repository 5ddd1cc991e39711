"""Suggested commands: in the form in which this one was started, and on standard error only."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from liver_tf.command_line.commands import find_commands
from liver_tf.command_line.flags_of_options import parse
from liver_tf.command_line.invocation import IN_CHAIN, command_line, suggest
from liver_tf.training.training_settings import FinetuneSettings

ROOT = Path(__file__).parents[2]


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


#: Started by a study, which suggests the next step when all of them are done; a server.
WITHOUT = {"cell", "liver_cell", "order_cell", "listen"}


def test_every_command_suggests_the_next_step():
    """In the command itself or in the library function that it calls."""
    for name, command in find_commands().items():
        file = ROOT / f"{command.module.replace('.', '/')}.py"
        called = re.findall(r"from (liver_tf[.\w]+) import", file.read_text(encoding="utf-8"))
        files = [ROOT / f"{module.replace('.', '/')}.py" for module in called]
        texts = [file.read_text(encoding="utf-8") for file in (file, *files) if file.is_file()]
        steps = [re.search(r"(?<!def )\b(suggest|show_next)\(", text) for text in texts]
        assert any(steps) == (name not in WITHOUT), name

"""The console script ``liver-tf``."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from liver_tf import __version__
from liver_tf.command_line import console
from liver_tf.command_line.commands import find_commands

ROOT = Path(__file__).parents[2]


@pytest.fixture
def liver_tf_script(monkeypatch, capfd):
    """Runs the script: (exit status, standard output, standard error)."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["liver-tf", *arguments])
        try:
            status = console.main()
        except SystemExit as end:
            status = end.code
        return status, *capfd.readouterr()

    return call


@pytest.mark.parametrize("arguments", [(), ("--help",)])
def test_help_lists_every_command_with_one_line(liver_tf_script, arguments):
    status, out, _ = liver_tf_script(*arguments)
    assert status == 0
    for name, command in find_commands().items():
        assert f"  {name} " in out
        assert command.summary in out


def test_a_command_runs_as_its_module_does(liver_tf_script):
    status, out, _ = liver_tf_script("predict", "--help")
    assert status == 0
    assert "liver-tf predict [flags], or python -m trainers.predict [flags]" in out
    assert "--[no]in_liver_only:" in out
    status, _, err = liver_tf_script("predict", "--modle=x")
    assert status == 1
    assert "--modle: there is no such flag; did you mean --model?" in err


def test_an_unknown_command_is_refused_with_the_nearest_one(liver_tf_script):
    assert liver_tf_script("predikt") == (
        1,
        "",
        "no command 'predikt'. Did you mean predict? See liver-tf --help.\n",
    )
    assert liver_tf_script("--version") == (0, f"{__version__}\n", "")


def test_the_script_suggests_itself_for_help(tmp_path):
    """As pip writes it: a file ``liver-tf`` that Python runs."""
    script = tmp_path / "liver-tf"
    script.write_text(
        "import sys\nfrom liver_tf.command_line.console import main\nsys.exit(main())\n"
    )
    done = subprocess.run(
        [sys.executable, script, "pretrain", "--epochs=many"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == (
        "--epochs: expected a whole number, found 'many'\nSee liver-tf pretrain --help.\n"
    )


def test_messages_name_commands_as_they_are_typed():
    """``liver-tf make_rois``, not ``data_prep.make_rois``, in all texts of the library."""
    texts = []
    for path in sorted((ROOT / "liver_tf").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        texts += [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in docstrings
        ]
    module = re.compile(r"\b(?<!python -m )(?:trainers|data_prep)\.[a-z]\w*")
    # A module by itself is started as a process; a page of verify states its program.
    prose = [text for text in texts if not module.fullmatch(text) and text != ", data_prep.verify"]
    assert [text for text in prose if module.search(text)] == []
    named = {name for text in texts for name in re.findall(r"\bliver-tf ([a-z]\w+)", text)}
    assert len(named) > 10
    assert named <= set(find_commands())

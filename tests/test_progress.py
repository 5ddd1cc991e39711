"""Progress: a bar on a terminal only, lines elsewhere."""

import ast
import io
import itertools
import sys
from pathlib import Path

import pytest

from liver_tf import progress
from liver_tf.progress import with_progress

ROOT = Path(__file__).parents[1]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def slow_clock(monkeypatch):
    """A clock that advances by 25 s whenever it is read."""
    clock = itertools.count(step=25)
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))


def test_a_pipe_gets_lines_now_and_then_and_no_bar(slow_clock, monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    assert list(with_progress("abcdef", "convert", "case")) == list("abcdef")
    assert stream.getvalue() == "convert: 2 of 6 cases\nconvert: 5 of 6 cases\n"


def test_without_a_length_the_lines_have_no_total(slow_clock, monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    assert [*with_progress(iter("abc"), "label", "case")] == ["a", "b", "c"]
    assert [*with_progress(iter("abc"), "label", "case", total=3)] == ["a", "b", "c"]
    assert stream.getvalue() == "label: 2 cases\nlabel: 2 of 3 cases\n"


def test_a_short_loop_in_a_pipe_shows_nothing(capsys):
    assert list(with_progress(range(1000), "convert", "case")) == list(range(1000))
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_bar(monkeypatch):
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    assert list(with_progress(range(3), "convert", "case")) == [0, 1, 2]
    assert "convert: 100%" in stream.getvalue()
    assert "3/3" in stream.getvalue()


def test_no_command_draws_a_bar_elsewhere():
    """Every bar of the program has ``disable=None``, by which tqdm asks for a terminal."""
    bars, without = 0, []
    for folder in ("liver_tf", "data_prep", "trainers"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                calls = isinstance(node, ast.Call) and "tqdm" in (
                    *([node.func.id] if isinstance(node.func, ast.Name) else []),
                    *(each.id for each in node.args if isinstance(each, ast.Name)),  # partial()
                )
                if calls:
                    bars += 1
                    given = {each.arg: ast.unparse(each.value) for each in node.keywords}
                    if given.get("disable") != "None":
                        without.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert bars >= 4
    assert without == []

"""Flag files: comments, nested files, and those shipped with the package."""

import filecmp
from pathlib import Path

import pytest

from liver_tf.command_line.flag_files import (
    SHIPPED,
    expand_flag_files,
    find_flag_file,
    read_flag_file,
)
from liver_tf.options import OptionError

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_comments_and_empty_lines_are_dropped_and_nested_files_expanded():
    Path("inner.flags").write_text("// also a comment\n--epochs=3\n")
    Path("outer.flags").write_text("# comment\n\n  --seed=1\n--flagfile=inner.flags\n--fold=2\n")
    assert read_flag_file("outer.flags") == ("--seed=1", "--epochs=3", "--fold=2")
    arguments = ["--a=1", "--flagfile", "inner.flags", "-flagfile=inner.flags", "--b=2"]
    assert expand_flag_files(arguments) == ["--a=1", "--epochs=3", "--epochs=3", "--b=2"]


def test_shipped_files_are_found_from_any_folder_nested_ones_too():
    assert "--cycle=enc1-enc4" in read_flag_file("hier_freeze.flags")
    assert "--network=liver" in read_flag_file("flags/pretrain_liver.flags")
    Path("mine.flags").write_text("--flagfile=hier_freeze.flags\n--epochs=2\n")
    assert read_flag_file("mine.flags")[-2:] == ("--cycle=enc1-enc4", "--epochs=2")


def test_a_file_of_the_working_folder_comes_first():
    Path("hier_freeze.flags").write_text("--cycle=all\n")
    assert read_flag_file("hier_freeze.flags") == ("--cycle=all",)


def test_all_flag_files_are_shipped_and_the_same():
    files = [path.relative_to(ROOT) for path in ROOT.glob("*.flags")]
    files += [path.relative_to(ROOT) for path in (ROOT / "flags").rglob("*.flags")]
    assert len(files) >= 17
    for file in files:
        assert filecmp.cmp(ROOT / file, SHIPPED / file, shallow=False)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("--flagfile=loop.flags\n", "includes itself"),
        ("--flagfile=\n", "expected the name of a file"),
        ("--flagfile=nowhere.flags\n", r"no such file: nowhere\.flags.*hier_freeze\.flags"),
        (b"\xff\xfe\n", "cannot read"),
    ],
)
def test_files_that_cannot_be_read_are_refused(lines, message):
    Path("loop.flags").write_bytes(lines if isinstance(lines, bytes) else lines.encode())
    with pytest.raises(OptionError, match=message):
        read_flag_file("loop.flags")


def test_an_absolute_path_is_not_looked_up_elsewhere(tmp_path):
    with pytest.raises(OptionError, match="no such file"):
        find_flag_file(tmp_path / "hier_freeze.flags")

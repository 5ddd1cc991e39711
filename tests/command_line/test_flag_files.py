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
from liver_tf.command_line.flags_of_options import load_settings
from liver_tf.options import OptionError
from liver_tf.training.training_settings import FinetuneSettings, PretrainSettings

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
    assert len(files) >= 23
    for file in files:
        assert filecmp.cmp(ROOT / file, SHIPPED / file, shallow=False)


@pytest.mark.parametrize("preset", ["paper", "recommended"])
def test_the_flag_files_of_a_preset_fit_their_commands(preset):
    for network in ("liver", "lesion"):
        pretraining = load_settings(
            PretrainSettings, f"flags/{preset}/{network}.flags", records="r", run="o"
        )
        assert pretraining.network == network
    finetuning = load_settings(
        FinetuneSettings, "hier_freeze.flags", f"flags/{preset}/finetune.flags"
    )
    cycles = finetuning.parsed_protocol().cycles
    assert len(cycles) == 5
    expected = ("step", 1, 80, 12) if preset == "paper" else ("cosine", 8, 60, 0)
    assert {(c.schedule, c.batch_size, c.epochs, c.patience) for c in cycles} == {expected}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("--flagfile=loop.flags\n", "includes itself"),
        ("--flagfile=\n", "expected the name of a file"),
        ("--flagfile=nowhere.flags\n", r"no such file: nowhere\.flags.*hier_freeze\.flags"),
        (b"\xff\xfe\n", "line 1: expected text in UTF-8"),
    ],
)
def test_files_that_cannot_be_read_are_refused(lines, message):
    Path("loop.flags").write_bytes(lines if isinstance(lines, bytes) else lines.encode())
    with pytest.raises(OptionError, match=message):
        read_flag_file("loop.flags")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("heir_freeze.flags", "Did you mean hier_freeze.flags?"),
        ("pretrain_liver.flags", "Did you mean flags/pretrain_liver.flags?"),
        ("mine.flags", "Protocols: baseline.flags, freeze_encoder.flags, "),
    ],
)
def test_the_error_for_a_missing_file_lists_the_folders_searched(tmp_path, name, hint):
    with pytest.raises(OptionError) as caught:
        find_flag_file(name)
    assert f"no such file: {name}, neither in {tmp_path} nor among the shipped" in str(caught.value)
    assert hint in str(caught.value)


def test_an_absolute_path_is_not_looked_up_elsewhere(tmp_path):
    with pytest.raises(OptionError, match="no such file"):
        find_flag_file(tmp_path / "hier_freeze.flags")


PLAIN = b"--protocol=mine\n--cycle=enc1-enc4\n"


@pytest.mark.parametrize(
    "data",
    [
        PLAIN,
        b"\xef\xbb\xbf" + PLAIN,
        b"\xef\xbb\xbf# comment\n" + PLAIN,
        PLAIN.replace(b"\n", b"\r\n"),
        PLAIN.rstrip(),
        PLAIN.replace(b"\n", b" \t\n\n"),
    ],
)
def test_byte_order_mark_and_line_ends_do_not_matter(tmp_path, data):
    (tmp_path / "a.flags").write_bytes(data)
    assert read_flag_file(tmp_path / "a.flags") == ("--protocol=mine", "--cycle=enc1-enc4")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"--name=K\xf6ln", "line 3: expected text in UTF-8"),
        ("--cycle=none\u00a0epochs=3".encode(), "NO-BREAK SPACE"),
        ("--a=1\u2028--b=2".encode(), "LINE SEPARATOR"),
        (b"--a=1\x0c", "control character"),
        ("\u2014cycle=none".encode(), "line 3: found EM DASH"),
        ("--cycle=enc1\u2013enc4".encode(), "EN DASH"),
        (b"cycle=none", "line 3: expected a flag"),
    ],
)
def test_other_characters_are_refused_with_their_line(tmp_path, line, words):
    (tmp_path / "a.flags").write_bytes(PLAIN + line + b"\n")
    with pytest.raises(OptionError, match=words):
        read_flag_file(tmp_path / "a.flags")


def test_utf_16_is_refused_with_its_line(tmp_path):
    (tmp_path / "a.flags").write_bytes(PLAIN.decode().encode("utf-16"))
    with pytest.raises(OptionError, match="line 1: expected text in UTF-8"):
        read_flag_file(tmp_path / "a.flags")


def test_a_path_may_contain_dashes_and_letters_of_any_language(tmp_path):
    text = "--input=/daten/K\u00f6ln \u2013 CT"
    (tmp_path / "a.flags").write_text(text, encoding="utf-8")
    assert read_flag_file(tmp_path / "a.flags") == (text,)

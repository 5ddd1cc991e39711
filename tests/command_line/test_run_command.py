"""Running a command: refusals and mistakes become messages and exit statuses."""

import atexit
import errno
import functools
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from liver_tf.command_line.run_command import execute
from liver_tf.options import OptionError, Options, option
from liver_tf.refusals import Refusal, TrainingStopped

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Settings(Options):
    how: str = option("well", "How it ends.")


def main(settings: Settings) -> int:
    if settings.how == "refused":
        raise Refusal("no-records", "tfrecords", expected="a", found="b", remedy="Convert it.")
    if settings.how == "stopped":
        raise TrainingStopped("the loss is NaN")
    if settings.how == "full":
        Path("/dev/full").write_bytes(b"0" * 10_000)
    if settings.how == "forbidden":
        raise PermissionError(errno.EACCES, "x", "/runs/run.json")
    return 0 if settings.how == "well" else 3


@pytest.mark.parametrize(
    ("how", "status", "message"),
    [
        ("well", 0, ""),
        ("otherwise", 3, ""),
        ("refused", 1, "tfrecords: [no-records] expected a; found b. Convert it."),
        ("stopped", 1, "training stopped: the loss is NaN"),
        ("full", 1, "[disk-full]"),
        ("forbidden", 1, "/runs/run.json: [file-access] expected a file or folder that this"),
    ],
)
def test_statuses_and_messages(capsys, how, status, message):
    assert execute(main, [f"--how={how}"], tensorflow=False) == status
    assert message in capsys.readouterr().err


def test_a_mistake_in_the_flags_is_raised_before_main_is_called():
    with pytest.raises(OptionError, match="--who: there is no such flag"):
        execute(main, ["--who=me"], tensorflow=False)


def run_module(*arguments):
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_a_mistake_is_one_line_and_a_hint():
    done = run_module("data_prep.check_leakage", "--folds_file=x")
    assert done.returncode == 1
    assert done.stderr == (
        "--records: must be given\nSee python -m data_prep.check_leakage --help.\n"
    )
    assert done.stdout == ""


def print_lines(settings: Settings) -> int:
    for number in range(100_000):
        print(number)
    Path(settings.how).write_text("recorded after printing")
    return 0


def print_hostile(settings: Settings) -> int:
    text = "a\x1b[2J\r\x9bb\u202ec\x07\td é\n"
    print(text)
    print(text, file=sys.stderr)
    print("\rbar\x1b[A", end="", file=sys.stderr)
    print("\x1b[A", end="", file=sys.stderr)
    return 0


def leave_slowly(settings: Settings) -> int:
    atexit.register(time.sleep, 60)
    print("written")
    return 3


def wait_long(settings: Settings) -> int:
    with open(settings.how, "w") as file:
        print("waiting", flush=True)
        time.sleep(60)
        print(file)
    return 0


def started(name: str, how: object = "well", more: str = "", **options) -> subprocess.Popen:
    """A process that runs a ``main`` of this file as a command; ``more`` are arguments of run."""
    code = (
        "from liver_tf.command_line.run_command import run\n"
        f"from tests.command_line.test_run_command import {name}\n"
        f"run({name}, tensorflow=False{more})"
    )
    command = [sys.executable, "-c", code, f"--how={how}"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.Popen(command, cwd=ROOT, text=True, **pipes)


def test_a_process_ends_at_once_with_its_output_and_status():
    begin = time.monotonic()
    with started("leave_slowly", more=", at_once=True") as process:
        assert process.stdout.read() == "written\n"
        assert process.wait() == 3
    assert time.monotonic() - begin < 50


def test_a_reader_that_ends_early_changes_nothing(tmp_path):
    with started("print_lines", tmp_path / "record") as process:
        assert process.stdout.readline() == "0\n"
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == 0
    assert (tmp_path / "record").read_text() == "recorded after printing"


def test_a_full_disk_under_the_output_is_reported_at_the_end(tmp_path):
    with (
        open("/dev/full", "w") as full,
        started("print_lines", tmp_path / "record", stdout=full) as process,
    ):
        assert process.stderr.read() == "standard output: No space left on device\n"
        assert process.wait() == 1
    assert (tmp_path / "record").read_text() == "recorded after printing"


def test_control_characters_are_shown_escaped():
    with started("print_hostile") as process:
        out, err = process.communicate()
    shown = "a\\x1b[2J\\r\\x9bb\\u202ec\\x07\td é\n\n"
    assert out == shown
    # Progress bars start with a carriage return (read as a line end here) and may move up.
    assert err == f"{shown}\nbar\\x1b[A\x1b[A"


def test_ctrl_c_ends_a_command_without_a_traceback(tmp_path):
    # Processes of a background job of a shell ignore SIGINT, and so do their children.
    default = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with started("wait_long", tmp_path / "file", preexec_fn=default) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == "\ninterrupted; finished results are kept\n"
        assert process.wait() == 130


def test_no_file_is_writable_for_others_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        process = started("wait_long", tmp_path / "file")
    finally:
        os.umask(before)
    with process:
        process.stdout.readline()
        process.kill()
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644

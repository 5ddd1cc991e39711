"""Running a command: refusals and mistakes become messages and exit statuses."""

import subprocess
import sys
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
    return 0 if settings.how == "well" else 3


@pytest.mark.parametrize(
    ("how", "status", "message"),
    [
        ("well", 0, ""),
        ("otherwise", 3, ""),
        ("refused", 1, "tfrecords: [no-records] expected a; found b. Convert it."),
        ("stopped", 1, "training stopped: the loss is NaN"),
        ("full", 1, "[disk-full]"),
    ],
)
def test_statuses_and_messages(capsys, how, status, message):
    assert execute(main, [f"--how={how}"], tensorflow=False) == status
    assert message in capsys.readouterr().err


def test_a_mistake_in_the_flags_is_raised_before_main_is_called():
    with pytest.raises(OptionError, match="Unknown command line flag"):
        execute(main, ["--who=me"], tensorflow=False)


def run_module(*arguments):
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_a_mistake_is_one_line_and_a_hint():
    done = run_module("data_prep.check_leakage", "--folds_file=x")
    assert done.returncode == 1
    assert done.stderr == "--records: must be given\nSee liver-tf check_leakage --help.\n"
    assert done.stdout == ""


def print_lines(settings: Settings) -> int:
    for number in range(100_000):
        print(number)
    return 0


def test_a_reader_that_ends_early_causes_no_traceback():
    code = (
        "from liver_tf.command_line.run_command import run\n"
        "from tests.command_line.test_run_command import print_lines\n"
        "run(print_lines, tensorflow=False)"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "0\n"
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == 1

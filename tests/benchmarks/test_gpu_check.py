"""The check of a GPU says what did not run; here on a machine without one."""

import re
import subprocess
import sys

import pytest

from benchmarks import gpu_check


def run(*options):
    command = [sys.executable, "-m", "benchmarks.gpu_check", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=480)


def test_without_a_gpu_it_says_that_nothing_ran():
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        pytest.skip("this machine has a GPU")
    done = run()
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    assert "DID NOT RUN, 2:" in lines
    assert any(line.startswith("- liver_tf, all rows: TensorFlow finds no GPU") for line in lines)
    assert any(re.match("- PyTorch, all rows: PyTorch (is not inst|finds no)", x) for x in lines)
    assert "everything ran" not in done.stdout
    assert not any(line.startswith("| ") for line in lines)


@pytest.mark.long
def test_on_a_processor_it_measures_and_names_what_did_not_run():
    sizes = "--sizes=training:1x32x1,inference:1x32x1,inference:1x33x1"
    done = run("--device=cpu", sizes, "--precisions=float32", "--rounds=1")
    assert done.returncode == 1
    rows = [line for line in done.stdout.splitlines() if re.match(r"\| \w+:", line)]
    assert [row.split(" | ")[:2] for row in rows] == [
        ["| training:1x32x1", "float32"],
        ["| inference:1x32x1", "float32"],
    ]
    assert all(re.match(r"[\d,]+$", row.split(" | ")[2]) for row in rows)
    # The network halves its grid four times, which 33 pixels do not allow.
    assert "- liver_tf, float32, inference:1x33x1: " in done.stdout


def test_when_the_time_is_over_the_rest_does_not_run():
    done = run("--device=cpu", "--minutes=0.0001")
    assert done.returncode == 1
    assert "- liver_tf, all rows: stopped at the time limit" in done.stdout


def test_a_ratio_is_of_one_precision():
    size = "training:6x128x16"
    rates = {
        (gpu_check.OURS, "float32", size): 100.0,
        (gpu_check.OURS_XLA, "float32", size): 150.0,
        (gpu_check.TORCH, "float32", size): 50.0,
        (gpu_check.TORCH_COMPILED, "bfloat16", size): 400.0,
    }
    assert gpu_check.table(rates, [size])[2:] == [
        f"| {size} | float32 | 100 | 150 | 50 | - | 3.00 |",
        f"| {size} | bfloat16 | - | - | - | 400 | - |",
    ]

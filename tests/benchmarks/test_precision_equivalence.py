"""Equivalence of precisions: the rule on made cohorts, and the chain at a tiny size."""

import subprocess
import sys
from dataclasses import replace

import pytest

from benchmarks.precision_equivalence import Equivalence, equivalences, table
from liver_tf.statistics.bootstrap_intervals import Interval
from tests.builders.cohort import slice_result


def results(missed=(), seeds=(0, 1, 2), patients=40):
    """A slice of each patient by each seed; lesions of 2 pixels, found unless in ``missed``."""
    return [
        replace(slice_result(f"p{n:02}", hit=0 if (n, seed) in missed else 2, seed=seed), fold="0")
        for seed in seeds
        for n in range(patients)
    ]


def test_equal_results_are_equivalent():
    found = equivalences(results(), results(), 0.01, 200)
    assert [each.measure for each in found] == ["dice2", "success", "accuracy"]
    assert [each.float32 for each in found] == [1.0, 1.0, 1.0]
    assert all(each.interval.value == each.interval.low == 0.0 for each in found)
    assert all(each.shown for each in found)


def test_a_difference_within_the_margin_is_not_shown_with_few_patients():
    # 1 of 120 slices: 0.8 %, but a resample can hold its patient several times.
    dice = equivalences(results(), results({(3, 1)}), 0.01, 2000)[0]
    assert dice.interval.value == pytest.approx(-1 / 120)
    assert dice.interval.low < -0.01
    assert not dice.shown


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [(-0.009, 0.009, True), (-0.011, 0.0, False), (0.0, 0.011, False), (None, None, False)],
)
def test_equivalence_needs_the_whole_interval_within_the_margin(low, high, shown):
    found = Equivalence("dice2", 0.6, Interval(-0.001, low, high, 100), 0.01)
    assert found.shown is shown
    row = table({"training": [found]})[2]
    assert row.startswith("| training | dice2 | 0.6000 | -0.0010 (")
    assert row.endswith("| yes |" if shown else "| not shown |")


def test_other_slices_are_refused():
    with pytest.raises(ValueError, match="the same slices and seeds"):
        equivalences(results(), results(seeds=(0, 1, 3)), 0.01, 200)


@pytest.mark.long
def test_a_tiny_benchmark_resumes(tmp_path):
    command = [
        *(sys.executable, "-m", "benchmarks.precision_equivalence", f"--work={tmp_path}"),
        *("--seeds=0", "--patients=14", "--test_patients=14", "--matrix=64", "--epochs=1"),
        "--samples=100",
    ]
    outputs = []
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        outputs.append([line for line in done.stdout.splitlines() if line.startswith("| ")])
    assert outputs[0] == outputs[1]
    assert [row.split(" | ")[:2] for row in outputs[0][2:]] == [
        [f"| {compared}", measure]
        for compared in ("training", "inference")
        for measure in ("dice2", "success", "accuracy")
    ]
    # Nothing was trained again: each run's log holds a single start.
    logs = sorted(tmp_path.glob("*/cells/*/*/*/log.txt"))
    assert [log.read_text().count("$ python -m trainers.cell") for log in logs] == [1] * 2

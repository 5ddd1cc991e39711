"""Augmentation runs where it is told to, and makes the same pixels in both places."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders import placement_run

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def told():
    """What a process with two logical devices tells, for each place."""
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "tests", Path(__file__).parent)))
    environment = {**os.environ, "PYTHONPATH": paths, "TF_CPP_MIN_LOG_LEVEL": "2"}
    processes = {
        place: subprocess.Popen(
            [sys.executable, placement_run.__file__, place],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for place in ("host", "device")
    }
    try:
        ends = {place: process.communicate(timeout=300) for place, process in processes.items()}
    finally:
        for process in processes.values():
            process.kill()
    for place, process in processes.items():
        assert process.returncode == 0, ends[place][1]
    return {place: json.loads(out.splitlines()[-1]) for place, (out, _) in ends.items()}


def test_device_augmentation_runs_in_the_step_on_the_models_device(told):
    (device,) = told["device"]["augmentation_in_step"]
    assert device.endswith("CPU:1")
    assert [place[-5:] for place in told["device"]["pixels_on"]] == ["CPU:1"]


def test_host_augmentation_leaves_nothing_in_the_step(told):
    assert told["host"]["augmentation_in_step"] == []
    assert [place[-5:] for place in told["host"]["batches"]] == ["CPU:0"]


def test_both_places_give_the_same_pixels_and_the_same_losses(told):
    assert len(set(told["host"]["pixels"])) == 4
    assert told["host"]["pixels"] == told["device"]["pixels"]
    assert told["host"]["losses"] == told["device"]["losses"]

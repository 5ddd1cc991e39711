"""Augmentation runs on the requested device, and gives the same pixels on both."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders import placement_run

ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.long  # tests/pipeline/test_batches.py compares the pixels of both places


@pytest.fixture(scope="module")
def reports():
    """Reports of processes with two logical devices, by place of the augmentation."""
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
        outputs = {place: process.communicate(timeout=300) for place, process in processes.items()}
    finally:
        for process in processes.values():
            process.kill()
    for place, process in processes.items():
        assert process.returncode == 0, outputs[place][1]
    return {place: json.loads(out.splitlines()[-1]) for place, (out, _) in outputs.items()}


def test_device_augmentation_runs_in_the_step_on_the_models_device(reports):
    (device,) = reports["device"]["augmentation_in_step"]
    assert device.endswith("CPU:1")
    assert [place[-5:] for place in reports["device"]["pixels_on"]] == ["CPU:1"]


def test_host_augmentation_leaves_nothing_in_the_step(reports):
    assert reports["host"]["augmentation_in_step"] == []
    assert [place[-5:] for place in reports["host"]["batches"]] == ["CPU:0"]


def test_both_places_give_the_same_pixels_and_the_same_losses(reports):
    assert len(set(reports["host"]["pixels"])) == 4
    assert reports["host"]["pixels"] == reports["device"]["pixels"]
    assert reports["host"]["losses"] == reports["device"]["losses"]

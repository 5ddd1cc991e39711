"""Training on several replicas equals training on one: logical devices and two processes."""

import contextlib
import csv
import json
import os
import random
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from liver_tf.training import replicas
from liver_tf.training.computation import Computation
from tests.builders import replica_run, tiny_run

ROOT = Path(replicas.__file__).parents[2]


STARTED = []


@pytest.fixture(autouse=True)
def stop_processes():
    """A failed test must not leave processes that wait for each other."""
    yield
    for process in STARTED:
        process.kill()
        process.communicate()
    STARTED.clear()


def start(*arguments, **variables):
    paths = [ROOT, Path(__file__).parent, ROOT / "tests"]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "TF_CPP_MIN_LOG_LEVEL": "2",
        **variables,
    }
    process = subprocess.Popen(
        [sys.executable, replica_run.__file__, *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    STARTED.append(process)
    return process


def report_of(process, seconds=180):
    """Wait for a process; return the JSON report on its last line."""
    out, err = process.communicate(timeout=seconds)
    assert process.returncode == 0, err[-3000:]
    return json.loads(out.splitlines()[-1])


@pytest.mark.long
def test_two_logical_devices_train_like_one():
    """Batches of 3, 4 and 1 slices; with 1 slice one replica receives none."""
    report = report_of(start("mirrored"))
    assert report["replicas"] == 2
    np.testing.assert_allclose(report["ours"], report["theirs"], rtol=1e-5)
    assert report["weights"] < 1e-6
    # If each replica normalises its own slices, the statistics change, and are equal on both.
    assert report["statistics"] > 0
    assert report["copies"] == 0.0
    assert report["frozen"]


def free_ports(count):
    """Free ports below the range that the system assigns, so that they stay free."""
    ports = set()
    while len(ports) < count:
        port = random.randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            ports.add(port)
    return sorted(ports)


def start_workers(folders, records, dies=None):
    """Start a process per folder; the one with index ``dies`` is killed after its first epoch."""
    cluster = {"worker": [f"127.0.0.1:{port}" for port in free_ports(len(folders))]}
    return [
        start(
            *("worker", folder, records, "dies" if index == dies else "lives"),
            TF_CONFIG=json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}}),
        )
        for index, folder in enumerate(folders)
    ]


def losses(folder):
    with open(folder / "cycle1" / "history.csv", newline="") as file:
        return [[float(row["loss"]), float(row["val_loss"])] for row in csv.DictReader(file)]


def train_alone(records, tmp_path):
    """Train the same run in one process; return its folder and final hashes.

    The folder is separate, so that no other run shares its cycles.
    """
    folder = tmp_path / "apart" / "alone"
    hashes, _ = tiny_run.train(folder, records, replica_run.ONE_CYCLE)
    return folder, hashes


def assert_equals_one_process(workers, folder, one_process):
    """Losses equal those of one process; only the trained blocks may differ, by rounding."""
    reference, hashes = one_process
    reports = [report_of(worker) for worker in workers]
    assert [report["replicas"] for report in reports] == [2, 2]
    assert [report["chief"] for report in reports] == [True, False]
    assert len(losses(folder)) == 3
    np.testing.assert_allclose(losses(folder), losses(reference), rtol=1e-4)
    for report in reports:
        assert {b for b in hashes if report[b] == hashes[b]} >= set(replica_run.FIXED)
        assert {block: report[block] for block in hashes} == {b: reports[0][b] for b in hashes}
    return reports


@pytest.mark.long
def test_two_processes_train_like_one_also_after_one_was_killed(record_set, tmp_path):
    """Killed in the second of three epochs: two epochs in a row are trained after resuming."""
    folders = [tmp_path / "chief", tmp_path / "other"]
    chief, killed = start_workers(folders, record_set[0], dies=1)
    one_process = train_alone(record_set[0], tmp_path)
    killed.wait(timeout=180)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.read()[-3000:]
    _, err = chief.communicate(timeout=120)
    assert chief.returncode == 1, err[-3000:]
    assert "TrainingStopped: another process of this training has ended. The chief keeps" in err
    assert (folders[0] / "cycle1" / "state.npz").exists()
    workers = start_workers(folders, record_set[0])
    reports = assert_equals_one_process(workers, folders[0], one_process)
    differences = ["others in another process", "others in this process"]
    for report, difference in zip(reports, differences, strict=True):
        assert report["refused"] == [["workers-differ", difference], ["its-code", "b"]]
    # Only the chief writes.
    assert not folders[1].exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"precision": "float64"}, "precision: expected one of float32, bfloat16, float16"),
        ({"precision": "float16", "replicas": 2}, "float16 with several replicas .* use bfloat16"),
        ({"jit_compile": True, "replicas": 2}, "--jit_compile works on one device only"),
    ],
)
def test_incompatible_computation_settings_are_refused(changes, message):
    several = replicas.OneDevice()
    several.count = changes.pop("replicas", 1)
    with pytest.raises(ValueError, match=message):
        Computation(**changes, replicas=several)


def test_an_unknown_strategy_is_refused():
    with pytest.raises(ValueError, match="expected one of one, mirrored, multi_worker, got 'tpu'"):
        replicas.make_replicas("tpu")

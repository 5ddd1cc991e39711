"""A small study in processes of its own: a run that fails, a kill, a Ray cluster."""

import os
import signal
import time

import pytest

from liver_tf import folder_lock
from liver_tf.folder_lock import locked_folder
from liver_tf.refusals import Refusal
from tests.builders import tiny_study
from tests.builders.tiny_study import CELL, run_of

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def work(tmp_path_factory, make_network):
    folder = tiny_study.write(tmp_path_factory.mktemp("work"), make_network)
    tiny_study.protocol(folder, "mine", "enc1")
    tiny_study.protocol(folder, "wrong", "enc1", allow_pairs=folder / "nowhere.txt")
    return folder


@pytest.fixture(scope="module")
def undisturbed(work):
    """A study of one run that succeeds and one that fails, and what was printed."""
    study = work / "undisturbed"
    protocols = [work / "wrong.flags", work / "mine.flags"]
    process = tiny_study.start(tiny_study.arguments(work, study, protocols, workers=2))
    out, err = process.communicate(timeout=300)
    return study, process.returncode, out, err


def test_a_failed_run_does_not_stop_the_others(undisturbed):
    study, status, out, err = undisturbed
    assert status == 1, err
    assert f"{CELL}: done in " in out
    assert "fold0/wrong/seed0: FAILED, ended with status 1" in out
    assert "nowhere.txt" in out
    assert "1 run FAILED: fold0/wrong/seed0. The same command retries them." in out
    assert "fold0/seed0/wrong" in (study / "report" / "report.md").read_text()


def test_a_killed_study_resumes_with_the_same_result(work, undisturbed, monkeypatch):
    monkeypatch.setattr(folder_lock, "_WAIT_SECONDS", 0.1)
    study = work / "killed"
    arguments = tiny_study.arguments(work, study, [work / "mine.flags"], seeds="0,1")
    process = tiny_study.start(arguments)
    deadline = time.monotonic() + 200
    files = [run_of(study) / "cycle1" / name for name in ("state.npz", "cycle.json")]
    while not any(path.exists() for path in files) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    # The run's process lives on, and no other process may touch the run until it ends.
    with pytest.raises(Refusal, match="output-busy"), locked_folder(study / "cells" / CELL):
        pass
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (run_of(study) / "measures" / "test.json").exists()
    process = tiny_study.start([*arguments, f"--only={CELL}"])
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert (study / "cells" / CELL / "log.txt").read_text().count("$ python -m trainers.cell") == 2
    assert tiny_study.result_of(run_of(study)) == tiny_study.result_of(run_of(undisturbed[0]))
    # The other run of the study is still missing.
    assert not (study / "report").exists()
    assert not (study / "cells" / "fold0" / "mine" / "seed1").exists()


def test_runs_that_share_a_process_give_the_results_of_separate_processes(work, tmp_path):
    tiny_study.protocol(work, "other", "none", "enc1-enc2")
    protocols = [work / f"{name}.flags" for name in ("mine", "other")]
    results, logs = [], []
    for option in ("--shared_processes", "--noshared_processes"):
        study = tmp_path / option
        process = tiny_study.start([*tiny_study.arguments(work, study, protocols), option])
        _, err = process.communicate(timeout=400)
        assert process.returncode == 0, err
        results.append([tiny_study.result_of(run_of(study).with_name(p.stem)) for p in protocols])
        logs.append([path.read_text() for path in sorted(study.glob("cells/*/*/*/log.txt"))])
    assert results[0] == results[1]
    for name, log in zip(("mine", "other"), logs[0], strict=True):
        assert log.startswith("\n$ python -m trainers.cell ")
        assert f"protocol {name}: " in log
        assert log.count(": evaluated\n") == 1


def test_a_ray_cluster_gives_the_same_result(work, undisturbed, tmp_path):
    pytest.importorskip("ray", reason="the extra ray is not installed")
    protocols, seeds = [work / "mine.flags"], "0,1"
    arguments = tiny_study.arguments(work, tmp_path, protocols, seeds=seeds, engine="ray")
    process = tiny_study.start([*arguments, f"--only={CELL}", "--num_cpus=0.5"])
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert tiny_study.result_of(run_of(tmp_path)) == tiny_study.result_of(run_of(undisturbed[0]))

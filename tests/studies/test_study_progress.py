"""Progress of a study and its estimate of the time left."""

import json
import time

import numpy as np
import pytest

from liver_tf.run_files import finished_epochs
from liver_tf.studies.run_process import DONE, FAILED, JobResult
from liver_tf.studies.study_progress import PlannedWork, RunDurations, StudyProgress
from tests.builders.study_jobs import job_of, mark_done


def write_state(run, cycle, epoch):
    """The entry of a cycle's ``state.npz`` from which progress is read."""
    folder = run / f"cycle{cycle}"
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "state.npz", memo=np.array(json.dumps({"epoch": epoch})))


def test_a_run_takes_time_in_proportion_to_its_slices_plus_measuring():
    durations = RunDurations()
    assert durations.estimate(100) is None
    durations.add(PlannedWork(100, (1, 1)), {"training": 50.0, "measuring": 5.0})
    durations.add(PlannedWork(100, (0, 2)), {"training": 30.0, "measuring": 7.0})
    durations.add(PlannedWork(100, (10,)), {})  # resumed: its duration is unknown
    # 80 s for 400 slices, and 6 s for each run.
    assert durations.estimate(100) == pytest.approx(20 + 6)
    assert durations.estimate(0) == pytest.approx(6)


def test_epochs_of_the_open_cycle_count_and_a_copied_cycle_is_no_work():
    work = PlannedWork(10, (10, 0, 20))
    assert work.total == 300
    assert work.done(0, 4) == 40
    assert work.done(1) == work.done(1, 4) == work.done(2) == 100
    assert work.done(2, 10) == 200
    assert work.done(3, 10) == 300


def test_finished_epochs_are_read_from_the_state_of_the_open_cycle(tmp_path):
    assert finished_epochs(tmp_path) == (0, 0)
    write_state(tmp_path, 1, 4)
    assert finished_epochs(tmp_path) == (0, 4)
    (tmp_path / "cycle1" / "cycle.json").write_text("{}")
    assert finished_epochs(tmp_path) == (1, 0)
    write_state(tmp_path, 2, 7)
    assert finished_epochs(tmp_path) == (1, 7)
    for damaged in (b"", b"PK\x03\x04 not a zip"):
        (tmp_path / "cycle2" / "state.npz").write_bytes(damaged)
        assert finished_epochs(tmp_path) == (1, 0)


def test_before_the_first_run_ends_the_time_is_estimated_from_epochs(tmp_path, capsys, monkeypatch):
    job, other = job_of(tmp_path), job_of(tmp_path, 1)
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    work = {job.name: PlannedWork(10, (10,)), other.name: PlannedWork(10, (10,))}
    progress = StudyProgress([job, other], work)
    write_state(job.run, 1, 5)
    now[0] = 60.0
    # 150 of 200 slices in a minute; the other run was already done, so its duration is unknown.
    progress.finish(JobResult(other.name, DONE))
    progress.close()
    assert capsys.readouterr().out == f"{other.name}: done (1 of 2 runs, about 20 s left)\n"


def test_the_time_left_follows_from_the_finished_runs(tmp_path, capsys, monkeypatch):
    jobs = [job_of(tmp_path, seed) for seed in range(4)]
    work = {job.name: PlannedWork(10, (0, 10)) for job in jobs}
    mark_done(jobs[0], seconds={"training": 90.0, "measuring": 10.0})
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    progress = StudyProgress(jobs, work)
    assert [job.name for job in progress.remaining] == [job.name for job in jobs[1:]]
    # A run is known to take 100 s; two at a time finish two in 110 s.
    now[0] = 110.0
    seconds = {"training": 90.0, "measuring": 10.0}
    progress.finish(JobResult(jobs[1].name, DONE, seconds=seconds))
    progress.finish(JobResult(jobs[2].name, DONE, seconds=seconds))
    progress.finish(JobResult(jobs[3].name, FAILED, "its error"))
    progress.close()
    first, second, *rest = capsys.readouterr().out.splitlines()
    assert first == f"{jobs[1].name}: done in 1 min 40 s (2 of 4 runs, about 3 min 40 s left)"
    assert second == f"{jobs[2].name}: done in 1 min 40 s (3 of 4 runs, about 55 s left)"
    assert f"{jobs[3].name}: FAILED, its error" in rest

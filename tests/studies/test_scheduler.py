"""Jobs are executed in order, whatever becomes of each."""

import threading
from dataclasses import replace
from typing import ClassVar

import pytest

from liver_tf.studies import scheduler
from liver_tf.studies.run_process import BUSY, DONE, FAILED, JobResult
from liver_tf.studies.scheduler import ProcessEngine, run_remaining
from liver_tf.studies.study_progress import PlannedWork
from tests.builders.study_jobs import job_of, mark_done


class ScriptedEngine:
    """Ends one job after another, each with the next of its states."""

    def __init__(self, states):
        self.states, self.submitted, self.closed = states, [], False

    def submit(self, job):
        self.submitted.append(job.name)
        return job.name, len(self.submitted)

    def wait(self, handles, seconds):
        return [min(handles, key=lambda handle: handle[1])]

    def result(self, handle):
        return JobResult(handle[0], self.states[handle[0]].pop(0), "its error")

    def close(self):
        self.closed = True


def run(jobs, states):
    engine = ScriptedEngine({job.name: list(s) for job, s in zip(jobs, states, strict=True)})
    work = {job.name: PlannedWork(1, (1,)) for job in jobs}
    return engine, run_remaining(jobs, work, lambda: engine)


def test_after_a_failed_job_the_others_are_executed(tmp_path):
    jobs = [job_of(tmp_path, seed) for seed in range(3)]
    engine, failed = run(jobs, [(FAILED,), (DONE,), (FAILED,)])
    assert engine.submitted == [job.name for job in jobs]
    assert [result.name for result in failed] == [jobs[0].name, jobs[2].name]
    assert engine.closed


def test_a_job_of_another_process_is_retried_after_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(scheduler, "_POLL_SECONDS", 0.0)
    jobs = [job_of(tmp_path, seed) for seed in range(2)]
    engine, failed = run(jobs, [(BUSY, BUSY, DONE), (DONE,)])
    assert engine.submitted == [job.name for job in (*jobs, jobs[0], jobs[0])]
    assert failed == []


def test_no_engine_is_made_for_a_finished_study(tmp_path):
    job = job_of(tmp_path)
    mark_done(job)
    assert run_remaining([job], {job.name: PlannedWork(1, (1,))}, lambda: 1 / 0) == []


class _NoProcess:
    """Stands for a process; knows the jobs that were executed in it."""

    made: ClassVar[list["_NoProcess"]] = []

    def __init__(self):
        self.jobs, self.open = [], True
        self.made.append(self)

    def close(self):
        self.open = False


@pytest.fixture
def executed(monkeypatch):
    """Jobs end at once, ``fails`` in their name as a failure; the list of (name, process)."""
    executed, _NoProcess.made = [], []

    def execute(job, process=None):
        assert process is None or process.open
        executed.append((job.name, process))
        return JobResult(job.name, FAILED if "fails" in job.name else DONE)

    monkeypatch.setattr(scheduler, "SharedProcess", _NoProcess)
    monkeypatch.setattr(scheduler, "execute_job", execute)
    return executed


def jobs_of(folder, *names, **more):
    """Jobs whose process is the first letter of their name; none for a capital letter."""
    job = job_of(folder)
    return [
        replace(job, name=name, process=name[0] * name.islower(), needs=more.get(name, ""))
        for name in names
    ]


def carry_out(jobs, workers=1, **options):
    """Execute jobs, the first of which starts when all are submitted."""
    engine = ProcessEngine(workers, **options)
    with engine._changed:
        handles = [engine.submit(job) for job in jobs]
    results = [engine.result(handle) for handle in handles]
    engine.close()
    assert [result.name for result in results] == [job.name for job in jobs]
    assert not any(process.open for process in _NoProcess.made)


def test_jobs_of_equal_data_share_a_process(tmp_path, executed):
    carry_out(jobs_of(tmp_path, "a1", "b1", "C1", "a2", "b2"))
    assert [name for name, _ in executed] == ["a1", "a2", "b1", "b2", "C1"]
    a1, a2, b1, b2, c1 = (process for _, process in executed)
    assert a1 is a2
    assert b1 is b2
    assert a1 is not b1
    assert c1 is None


def test_without_sharing_jobs_are_executed_in_order(tmp_path, executed):
    carry_out(jobs_of(tmp_path, "a1", "b1", "a2"), shared=False)
    assert executed == [("a1", None), ("b1", None), ("a2", None)]


def test_after_a_failure_the_next_job_gets_a_new_process(tmp_path, executed):
    carry_out(jobs_of(tmp_path, "a1", "a_fails", "a2"))
    first, failed, after = (process for _, process in executed)
    assert first is failed
    assert after is not failed


def test_a_second_worker_takes_other_data_first(tmp_path, monkeypatch, executed):
    both = threading.Barrier(2, timeout=20)
    execute = scheduler.execute_job

    def together(job, process=None):
        both.wait()  # each pair of jobs runs at the same time
        return execute(job, process)

    monkeypatch.setattr(scheduler, "execute_job", together)
    carry_out(jobs_of(tmp_path, "a1", "a2", "b1", "b2"), workers=2)
    assert {frozenset(name for name, _ in executed[k : k + 2]) for k in (0, 2)} == {
        frozenset(("a1", "b1")),
        frozenset(("a2", "b2")),
    }
    assert len(_NoProcess.made) == 2


@pytest.mark.parametrize("workers", [1, 2])
def test_a_job_waits_for_the_one_it_needs(tmp_path, executed, workers):
    carry_out(jobs_of(tmp_path, "a1", "b1", "b2", a1="b1"), workers=workers)
    names = [name for name, _ in executed]
    assert names.index("b1") < names.index("a1")


def test_jobs_that_need_each_other_are_executed_nevertheless(tmp_path, executed):
    carry_out(jobs_of(tmp_path, "a1", "a2", a1="a2", a2="a1"))
    assert len(executed) == 2

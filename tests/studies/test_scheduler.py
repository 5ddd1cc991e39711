"""Jobs are executed in order, whatever becomes of each."""

from liver_tf.studies import scheduler
from liver_tf.studies.run_process import BUSY, DONE, FAILED, JobResult
from liver_tf.studies.scheduler import run_remaining
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

"""A run in its own process: when it is done, and who may execute it."""

import subprocess
import time

from liver_tf import folder_lock
from liver_tf.folder_lock import locked_folder
from liver_tf.results.study_inventory import OUTCOME
from liver_tf.studies.run_process import BUSY, DONE, FAILED, JobResult, execute_job
from liver_tf.studies.scheduler import ProcessEngine, run_all
from liver_tf.studies.study_progress import PlannedWork, StudyProgress
from tests.builders.study_jobs import MADE_OF, job_of, mark_done


def test_a_job_is_done_if_its_settings_are_the_same_and_its_measures_exist(tmp_path):
    job = job_of(tmp_path)
    assert not job.is_done()
    mark_done(job)
    assert job.is_done()
    assert execute_job(job) == JobResult(job.name, DONE)
    mark_done(job, state=FAILED)
    assert not job.is_done()
    mark_done(job, made_of={**MADE_OF, "settings": []})
    assert not job.is_done()


def test_the_state_of_a_job_is_read_from_its_files(tmp_path):
    job = job_of(tmp_path)
    assert job.state() == "-"
    mark_done(job)
    assert job.state() == DONE
    (job.run / "measures" / "test.json").unlink()
    assert not job.is_done()
    assert job.state() == "stale"
    mark_done(job, state=FAILED)
    assert job.state() == FAILED
    (job.folder / OUTCOME).write_text("{")
    assert not job.is_done()
    assert job.state() == "-"


def test_a_failed_process_is_reported_with_the_end_of_its_log(tmp_path):
    job = job_of(tmp_path, command="json.nothing")
    result = execute_job(job)
    assert result.state == FAILED
    assert "ended with status 1" in result.error
    assert "No module named json.nothing" in result.error
    assert job.state() == FAILED
    assert job.log.read_text().startswith("\n$ python -m json.nothing --nonsense\n")


def test_a_process_that_outlives_its_parent_keeps_the_job_busy(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(folder_lock, "_WAIT_SECONDS", 0.1)
    job = job_of(tmp_path)
    job.folder.mkdir(parents=True)
    with locked_folder(job.folder) as lock:
        orphan = subprocess.Popen(["sleep", "60"], pass_fds=(lock,))
    try:
        assert execute_job(job).state == BUSY
        # The scheduler waits until the other process ends; by then the job is done.
        progress, engine = StudyProgress([job], {job.name: PlannedWork(1, (10,))}), ProcessEngine(1)
        start = time.monotonic()
        ending = subprocess.Popen(["sh", "-c", f"sleep 1.7; kill {orphan.pid}"])
        mark_done(job)
        assert run_all([job], engine, progress) == []
        assert time.monotonic() - start > 1.6
        engine.close()
        progress.close()
        ending.wait()
        # Without a terminal the wait is reported too, and only once.
        waits, done = capsys.readouterr().out.splitlines()
        assert waits == f"{job.name}: waiting for another process that is executing it"
        assert done.startswith(f"{job.name}: done")
    finally:
        orphan.kill()
        orphan.wait()

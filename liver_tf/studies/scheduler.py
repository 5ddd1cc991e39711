"""Executes the jobs of a study on an engine until each has ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from liver_tf.studies.run_process import BUSY, DONE, JobResult, StudyJob
from liver_tf.studies.study_progress import PlannedWork, StudyProgress

_POLL_SECONDS = 1.0


class Engine(Protocol):
    """Executes jobs; decides itself how many at a time."""

    def submit(self, job: StudyJob) -> Any:
        """Accept a job and return a handle."""

    def wait(self, handles: Collection[Any], seconds: float) -> list[Any]:
        """Wait until a job ends, ``seconds`` at most; return the handles of those that ended."""

    def result(self, handle: Any) -> JobResult:
        """The result of a job that ended."""

    def close(self) -> None:
        """Release the engine; no job follows."""


def run_remaining(
    jobs: Sequence[StudyJob], work: Mapping[str, PlannedWork], make_engine: Callable[[], Engine]
) -> list[JobResult]:
    """Execute the jobs that are not done, with a progress bar; the engine is made only if needed.

    Returns:
      The results of the jobs that failed.
    """
    progress = StudyProgress(jobs, work)
    if not progress.remaining:
        progress.close()
        return []
    engine = make_engine()
    try:
        return run_all(progress.remaining, engine, progress)
    finally:
        progress.close()
        engine.close()


def run_all(jobs: Sequence[StudyJob], engine: Engine, progress: StudyProgress) -> list[JobResult]:
    """Execute jobs in order, as far as the engine has room; after a failure the others still run.

    Jobs that another process is executing are retried after the others until they have ended, so a
    study may be started several times and its processes share the work.

    Returns:
      The results of the jobs that failed.
    """
    failed = []
    by_name = {job.name: job for job in jobs}
    to_submit = list(jobs)
    busy: list[StudyJob] = []
    running: dict[Any, str] = {}
    while to_submit or busy or running:
        running |= {engine.submit(job): job.name for job in to_submit}
        to_submit = []
        for handle in engine.wait(running, _POLL_SECONDS):
            result = engine.result(handle)
            job = by_name[running.pop(handle)]
            if result.state == BUSY:
                busy.append(job)
                continue
            progress.finish(result)
            if result.state != DONE:
                failed.append(result)
        progress.update(waiting_for=[job.name for job in busy] if not running else ())
        if busy and not running:
            time.sleep(_POLL_SECONDS)
            to_submit, busy = busy, []
    return failed

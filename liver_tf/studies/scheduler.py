"""Executes the jobs of a study until each has ended: in local processes, or on another engine."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent import futures
from typing import Any, Protocol

from liver_tf.counted import counted
from liver_tf.studies.run_process import BUSY, DONE, JobResult, StudyJob, execute_job
from liver_tf.studies.study_progress import PlannedWork, StudyProgress

_POLL_SECONDS = 1.0


class Engine(Protocol):
    """Executes jobs; decides itself how many at a time."""

    def submit(self, job: StudyJob) -> Any:
        """Accept a job and return a handle."""

    def wait(self, handles: Collection[Any], seconds: float) -> list[Any]:
        """Wait until a job ends, ``seconds`` at most; return the handles of ended jobs."""

    def result(self, handle: Any) -> JobResult:
        """The result of an ended job."""

    def close(self) -> None:
        """Release the engine."""


class ProcessEngine:
    """Executes up to ``workers`` jobs at a time as processes of this machine."""

    def __init__(self, workers: int) -> None:
        self._pool = futures.ThreadPoolExecutor(workers)

    def submit(self, job: StudyJob) -> futures.Future:
        return self._pool.submit(execute_job, job)

    def wait(self, handles: Collection[futures.Future], seconds: float) -> list[futures.Future]:
        return list(futures.wait(handles, seconds, futures.FIRST_COMPLETED).done)

    def result(self, handle: futures.Future) -> JobResult:
        return handle.result()

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


def run_remaining(
    jobs: Sequence[StudyJob], work: Mapping[str, PlannedWork], make_engine: Callable[[], Engine]
) -> list[JobResult]:
    """Execute the jobs that are not done, with a progress bar; the engine is made only if needed.

    Returns:
      The results of the failed jobs; their names are printed.
    """
    progress = StudyProgress(jobs, work)
    if not progress.remaining:
        progress.close()
        return []
    engine = make_engine()
    try:
        failed = run_all(progress.remaining, engine, progress)
    finally:
        progress.close()
        engine.close()
    if failed:
        names = ", ".join(result.name for result in failed)
        print(f"\n{counted(len(failed), 'run')} FAILED: {names}. The same command retries them.")
    return failed


def run_all(jobs: Sequence[StudyJob], engine: Engine, progress: StudyProgress) -> list[JobResult]:
    """Execute jobs in order, as many at a time as the engine allows; a failure stops no other job.

    Jobs that another process is executing are retried last, until they have ended: a study can be
    started several times, and its processes share the work.

    Returns:
      The results of the failed jobs.
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

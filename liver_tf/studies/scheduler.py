"""Executes the jobs of a study until each has ended: in local processes, or on another engine."""

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent import futures
from typing import Any, Protocol

from liver_tf.counted import counted
from liver_tf.studies.run_process import BUSY, DONE, JobResult, StudyJob, execute_job
from liver_tf.studies.shared_process import SharedProcess
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
    """Executes up to ``workers`` jobs at a time as processes of this machine.

    Unless ``shared`` is false, a worker keeps its process for the next job with the same
    ``StudyJob.process`` and prefers such jobs; others are executed in the order of submission.
    """

    def __init__(self, workers: int, *, shared: bool = True) -> None:
        self._pool = futures.ThreadPoolExecutor(workers)
        self._workers = [_Worker() for _ in range(workers)]
        self._idle = list(self._workers)
        self._shared = shared
        self._waiting: list[tuple[StudyJob, futures.Future]] = []
        self._running: set[str] = set()
        self._changed = threading.Condition()
        self._closed = False

    def submit(self, job: StudyJob) -> futures.Future:
        handle: futures.Future = futures.Future()
        with self._changed:
            self._waiting.append((job, handle))
        self._pool.submit(self._execute_next)
        return handle

    def wait(self, handles: Collection[futures.Future], seconds: float) -> list[futures.Future]:
        return list(futures.wait(handles, seconds, futures.FIRST_COMPLETED).done)

    def result(self, handle: futures.Future) -> JobResult:
        return handle.result()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._pool.shutdown(cancel_futures=True)
        for worker in self._workers:
            worker.end()

    def _execute_next(self) -> None:
        with self._changed:
            worker = self._idle.pop()
            self._changed.wait_for(lambda: self._closed or self._ready())
            if self._closed:
                return
            # Jobs of a process that no other worker has come before those of one that has.
            taken = {other.key for other in self._workers if other is not worker and other.key}

            def place(each: tuple[StudyJob, futures.Future]) -> tuple[bool, bool]:
                process = each[0].process
                return not process or process != worker.key, process in taken

            job, handle = min(self._ready(), key=place)
            self._waiting.remove((job, handle))
            self._running.add(job.name)
        try:
            handle.set_result(worker.execute(job, shared=self._shared))
        except BaseException as error:
            handle.set_exception(error)
        with self._changed:
            self._running.remove(job.name)
            self._idle.append(worker)
            self._changed.notify_all()

    def _ready(self) -> list[tuple[StudyJob, futures.Future]]:
        """The waiting jobs that need no job that waits or runs; all, if none could ever start."""
        unfinished = self._running | {job.name for job, _ in self._waiting}
        ready = [each for each in self._waiting if each[0].needs not in unfinished]
        return ready if ready or self._running else self._waiting


class _Worker:
    """Executes one job at a time; ``key`` is the ``StudyJob.process`` of its process."""

    def __init__(self) -> None:
        self.key = ""
        self._process: SharedProcess | None = None

    def execute(self, job: StudyJob, *, shared: bool) -> JobResult:
        if not shared or not job.process:
            self.end()
            return execute_job(job)
        if job.process != self.key or self._process is None:
            self.end()
            self.key, self._process = job.process, SharedProcess()
        result = execute_job(job, self._process)
        if result.state != DONE:
            self.end()
        return result

    def end(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._process.close()
        self.key, self._process = "", None


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

"""Executes a study's runs as processes of this machine, several at a time."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Collection
from concurrent.futures import Future

from liver_tf.studies.run_process import JobResult, StudyJob, execute_job


class ProcessEngine:
    """At most ``workers`` runs at a time. Implements :class:`liver_tf.studies.scheduler.Engine`."""

    def __init__(self, workers: int) -> None:
        self._pool = concurrent.futures.ThreadPoolExecutor(workers)

    def submit(self, job: StudyJob) -> Future:
        return self._pool.submit(execute_job, job)

    def wait(self, handles: Collection[Future], seconds: float) -> list[Future]:
        first = concurrent.futures.FIRST_COMPLETED
        return list(concurrent.futures.wait(handles, seconds, first).done)

    def result(self, handle: Future) -> JobResult:
        return handle.result()

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

"""Jobs in worker processes that may crash, hang or use too much memory."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import resource
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_START_LIMIT_S = 120.0


@dataclass(frozen=True)
class Lost:
    """A job whose process died or was killed, and the reason."""

    why: str


def guarded(
    make: Callable[..., Callable[[int], Any]],
    arguments: tuple,
    jobs: Iterable[int],
    *,
    workers: int,
    limit_s: float,
    limit_bytes: int,
) -> Iterator[tuple[int, Any]]:
    """Yield each job with its result, or with :class:`Lost`, as the jobs finish.

    Args:
      make: Module-level function. Called once in each process with ``arguments`` and the number of
        the worker; returns the function that does a job.
      arguments: For ``make``.
      jobs: Numbers of the jobs.
      workers: Number of processes.
      limit_s: Time per job; a slower process is killed and replaced.
      limit_bytes: Memory that a job may request in addition, even if it is freed again. A request
        of four times as much fails.
    """
    waiting = deque(jobs)
    processes = [_Worker(make, (*arguments, number), limit_bytes) for number in range(workers)]
    try:
        while processes:
            for worker in list(processes):
                if worker.job is None and worker.ready:
                    if not waiting:
                        processes.remove(worker)
                        worker.stop()
                        continue
                    worker.send(waiting.popleft(), limit_s)
            if not processes:
                return
            first_deadline = min(worker.deadline for worker in processes)
            wait_s = max(first_deadline - time.monotonic(), 0.0)
            ready_connections = multiprocessing.connection.wait(
                [w.connection for w in processes], wait_s
            )
            for worker in processes:
                if worker.connection in ready_connections:
                    yield from worker.receive()
                elif time.monotonic() > worker.deadline:
                    yield from worker.restart(f"no answer within {limit_s:g} s")
    finally:
        for worker in processes:
            worker.end()


class _Worker:
    def __init__(self, make: Callable, arguments: tuple, limit_bytes: int) -> None:
        self._serve_arguments = (make, arguments, limit_bytes)
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self.process = context.Process(
            target=_serve, args=(other, *self._serve_arguments), daemon=True
        )
        self.process.start()
        other.close()
        self.job: int | None = None
        self.ready = False
        self.deadline = time.monotonic() + _START_LIMIT_S

    def send(self, job: int, limit_s: float) -> None:
        self.job = job
        self.deadline = time.monotonic() + limit_s
        self.connection.send(job)

    def receive(self) -> Iterator[tuple[int, Any]]:
        try:
            result = self.connection.recv()
        except (EOFError, OSError):
            self.process.join()
            code = self.process.exitcode
            cause = signal.Signals(-code).name if code < 0 else f"exit status {code}"
            yield from self.restart(f"the process died: {cause}")
            return
        if isinstance(result, Lost):
            yield from self.restart(result.why)
            return
        if self.ready:
            job, self.job = self.job, None
            yield job, result
        self.ready = True

    def restart(self, why: str) -> Iterator[tuple[int, Any]]:
        if not self.ready:
            self.end()
            raise RuntimeError(f"a worker could not be started: {why}")
        job = self.job
        self.end()
        self._start()
        yield job, Lost(why)

    def stop(self) -> None:
        self.connection.send(None)
        self.process.join(10)
        self.end()

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


def _serve(connection, make: Callable, arguments: tuple, limit_bytes: int) -> None:
    work = make(*arguments)
    ceiling = _bytes("VmData") + 4 * limit_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (ceiling, ceiling))
    connection.send(None)
    for job in iter(connection.recv, None):
        before = max(_bytes("VmSize"), _bytes("VmPeak"))
        result = work(job)
        # A reader may report a MemoryError as a damaged file; the peak reveals it in any case.
        requested = _bytes("VmPeak") - before
        connection.send(
            result if requested <= limit_bytes else Lost(f"asked for {requested >> 20} MiB")
        )


def _bytes(field: str) -> int:
    """A memory field of this process in ``/proc/self/status``."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this system does not report the memory of a process")

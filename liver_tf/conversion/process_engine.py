"""Runs a function on many cases in worker processes, which end with their parent."""

import multiprocessing
import multiprocessing.connection
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from tqdm import tqdm

from liver_tf.refusals import worker_died
from liver_tf.terminal_output import end_silently_on_interrupt

# The monitor thread of the progress bars would rule out forking (see _context).
tqdm.monitor_interval = 0

_Job = TypeVar("_Job")
_Result = TypeVar("_Result")


def in_processes(
    function: Callable[[_Job], _Result], jobs: Sequence[_Job], workers: int
) -> Iterator[_Result]:
    """Map a function over jobs in ``workers`` processes; results come in the order of the jobs.

    One worker or a single job runs in this process. The function must be importable.

    Raises:
      Refusal: ``worker-died`` if a process was killed. Exceptions of ``function`` pass unchanged.
    """
    workers = min(workers, len(jobs))
    if workers <= 1:
        yield from map(function, jobs)
        return
    try:
        with ProcessPoolExecutor(workers, _context(), _start_worker) as pool:
            yield from pool.map(function, jobs)
    except BrokenProcessPool:
        raise worker_died() from None


def _context() -> multiprocessing.context.BaseContext:
    """Fork, which starts at once; spawn if other threads are alive, as a fork could then hang."""
    single = threading.active_count() == 1 and "tensorflow" not in sys.modules
    return multiprocessing.get_context("fork" if single and sys.platform == "linux" else "spawn")


def _start_worker() -> None:
    end_silently_on_interrupt()
    # A worker that outlives a killed parent would write at the same time as the next run.
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    multiprocessing.connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)

"""Work on cases side by side in processes that end with the one that started them."""

from __future__ import annotations

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

from liver_tf.refusals import Refusal

# The thread that watches progress bars would forbid to fork.
tqdm.monitor_interval = 0

_Job = TypeVar("_Job")
_Result = TypeVar("_Result")


def in_processes(
    function: Callable[[_Job], _Result],
    jobs: Sequence[_Job],
    workers: int,
) -> Iterator[_Result]:
    """Map over jobs; results come in the order of the jobs, whatever the number of workers.

    Args:
      function: of a module, so that another process can import it.
      workers: 1 works in this process, as a single job does.

    Raises:
      Refusal: ``worker-died`` where a process was killed. What ``function`` raises comes through.
    """
    workers = min(workers, len(jobs))
    if workers <= 1:
        yield from map(function, jobs)
        return
    try:
        with ProcessPoolExecutor(workers, _context(), _start_worker) as pool:
            yield from pool.map(function, jobs)
    except BrokenProcessPool:
        raise Refusal(
            "worker-died",
            None,
            expected="processes that live until their case is done",
            found="one that was ended from outside, as happens when memory runs out",
            remedy="Lower --workers and start again: what is complete is kept.",
        ) from None


def _context() -> multiprocessing.context.BaseContext:
    """A fork starts at once, but with other threads alive it can hang: then fresh processes."""
    alone = threading.active_count() == 1 and "tensorflow" not in sys.modules
    return multiprocessing.get_context("fork" if alone and sys.platform == "linux" else "spawn")


def _start_worker() -> None:
    # A worker that outlives a killed parent would still write while the next start writes too.
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    multiprocessing.connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)

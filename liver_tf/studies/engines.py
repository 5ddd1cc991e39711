"""What carries out cells: processes of this machine, or the machines of a Ray cluster."""

from __future__ import annotations

import concurrent.futures
import os
from collections.abc import Collection
from typing import Any, Protocol

from liver_tf.refusals import Refusal
from liver_tf.studies.cell_process import FAILED, CellJob, Outcome, carry_out


class Engine(Protocol):
    """Carries out cells; which of them at a time is its own matter."""

    def begin(self, job: CellJob) -> Any:
        """Take a cell on; returns a handle."""

    def ended(self, handles: Collection[Any], seconds: float) -> list[Any]:
        """Those that have ended, after waiting so long for a first one."""

    def outcome(self, handle: Any) -> Outcome:
        """Of one that has ended."""

    def close(self) -> None:
        """Nothing more will come."""


class Local:
    """So many cells at a time on this machine."""

    def __init__(self, workers: int) -> None:
        self._pool = concurrent.futures.ThreadPoolExecutor(workers)

    def begin(self, job: CellJob) -> Any:
        return self._pool.submit(carry_out, job)

    def ended(self, handles: Collection[Any], seconds: float) -> list[Any]:
        first = concurrent.futures.FIRST_COMPLETED
        return list(concurrent.futures.wait(handles, seconds, first).done)

    def outcome(self, handle: Any) -> Outcome:
        return handle.result()

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


class Ray:
    """As many cells at a time as a Ray cluster has room for.

    All machines must see the program and the data under the same paths. A cell whose machine is
    lost is started again elsewhere by Ray, and goes on after its last finished epoch.
    """

    def __init__(self, address: str | None, num_cpus: float, num_gpus: float) -> None:
        """Join the cluster at ``address``; without one (nor ``RAY_ADDRESS``) a local one is begun.

        Raises ``Refusal``: ``no-ray``, ``ray-cluster``.
        """
        # Nothing about a study goes to anybody.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
        except ImportError:
            raise Refusal(
                "no-ray",
                None,
                expected="Ray for --engine=ray",
                found="a Python without it",
                remedy="Run: pip install -c constraints.txt -e '.[ray]'.",
            ) from None
        try:
            ray.init(address=address, logging_level="ERROR", log_to_driver=False)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise Refusal(
                "ray-cluster",
                None,
                expected="a Ray cluster that can be joined",
                found=f"an error of kind {type(error).__name__}",
                remedy="Check --ray_address; is the cluster up, with the same versions of Ray and "
                "Python?",
            ) from None
        self._ray = ray
        self._carry_out = ray.remote(num_cpus=num_cpus, num_gpus=num_gpus)(carry_out)
        self._names: dict[Any, str] = {}

    def begin(self, job: CellJob) -> Any:
        handle = self._carry_out.remote(job)
        self._names[handle] = job.name
        return handle

    def ended(self, handles: Collection[Any], seconds: float) -> list[Any]:
        waiting = list(handles)
        return self._ray.wait(waiting, num_returns=1, timeout=seconds)[0] if waiting else []

    def outcome(self, handle: Any) -> Outcome:
        name = self._names.pop(handle)
        try:
            return self._ray.get(handle)
        except self._ray.exceptions.RayError as error:
            return Outcome(name, FAILED, f"Ray: {type(error).__name__}: {str(error).strip()}")

    def close(self) -> None:
        self._ray.shutdown()

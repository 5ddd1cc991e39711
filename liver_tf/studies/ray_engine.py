"""Executes a study's runs on a Ray cluster."""

import os
from collections.abc import Collection
from typing import Any

from liver_tf.extras import install_extra
from liver_tf.refusals import Refusal
from liver_tf.studies.run_process import FAILED, JobResult, StudyJob, execute_job

#: How long to wait for a cluster; ``ray.init`` would wait for minutes.
_ANSWER_SECONDS = 20.0


class RayEngine:
    """Executes as many runs at a time as the cluster has resources for.

    All machines must see the program and the data under the same paths. If a machine fails, Ray
    restarts its runs elsewhere, and they resume after their last finished epoch.
    """

    def __init__(self, address: str | None, num_cpus: float, num_gpus: float) -> None:
        """Join the cluster at ``address`` (as for ``ray.init``); each run requests the resources.

        Raises:
          Refusal: ``no-ray``, ``ray-cluster``.
        """
        # Send no usage reports to third parties.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
        except ImportError:
            raise Refusal(
                "no-ray",
                None,
                expected="Ray for --engine=ray",
                found="no module ray",
                remedy=install_extra("ray"),
            ) from None
        _require_answer(address)
        try:
            ray.init(address=address, logging_level="ERROR", log_to_driver=False)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise Refusal(
                "ray-cluster",
                None,
                expected="a reachable Ray cluster",
                found=f"an error of type {type(error).__name__}",
                remedy="Check --ray_address, and whether the cluster is running with the same "
                "versions of Ray and Python.",
            ) from None
        self._ray = ray
        self._execute = ray.remote(num_cpus=num_cpus, num_gpus=num_gpus)(execute_job)
        self._names: dict[Any, str] = {}

    def submit(self, job: StudyJob) -> Any:
        handle = self._execute.remote(job)
        self._names[handle] = job.name
        return handle

    def wait(self, handles: Collection[Any], seconds: float) -> list[Any]:
        if not handles:
            return []
        return self._ray.wait(list(handles), num_returns=1, timeout=seconds)[0]

    def result(self, handle: Any) -> JobResult:
        name = self._names.pop(handle)
        try:
            return self._ray.get(handle)
        except self._ray.exceptions.RayError as error:
            return JobResult(name, FAILED, f"Ray: {type(error).__name__}: {str(error).strip()}")

    def close(self) -> None:
        self._ray.shutdown()


def _require_answer(address: str | None) -> None:
    """Refuse (``ray-cluster``) an address at which no gRPC server answers, as Ray's are."""
    host = (address or "").removeprefix("ray://")
    if ":" not in host or os.environ.get("RAY_USE_TLS") == "1":
        return  # a cluster on this machine, or one that only Ray can speak to
    import grpc

    with grpc.insecure_channel(host, [("grpc.enable_http_proxy", 0)]) as channel:
        try:
            grpc.channel_ready_future(channel).result(_ANSWER_SECONDS)
        except grpc.FutureTimeoutError:
            raise Refusal(
                "ray-cluster",
                None,
                expected="a Ray cluster at --ray_address",
                found=f"no answer within {_ANSWER_SECONDS:g} s",
                remedy="Check --ray_address, whether the cluster is running, and firewalls.",
            ) from None

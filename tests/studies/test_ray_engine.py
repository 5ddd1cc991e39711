"""An address without a Ray cluster is refused soon."""

import socket
import time
from concurrent import futures

import pytest

from liver_tf.refusals import Refusal
from liver_tf.studies import ray_engine
from liver_tf.studies.ray_engine import RayEngine


@pytest.fixture
def silent_port(monkeypatch):
    """A server that accepts connections and never answers."""
    monkeypatch.setattr(ray_engine, "_ANSWER_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_the_limit_is_below_half_a_minute():
    assert ray_engine._ANSWER_SECONDS < 30


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_a_silent_address_is_refused(silent_port, scheme):
    pytest.importorskip("ray", reason="the extra ray is not installed")
    began = time.monotonic()
    with pytest.raises(Refusal, match=r"\[ray-cluster\].*no answer within 1 s.*--ray_address"):
        RayEngine(f"{scheme}127.0.0.1:{silent_port}", 1, 0)
    assert time.monotonic() - began < 15


def test_a_closed_port_is_refused(silent_port, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(Refusal, match=r"\[ray-cluster\]"):
        ray_engine._require_answer(f"127.0.0.1:{port}")


def test_servers_that_answer_and_local_clusters_pass():
    grpc = pytest.importorskip("grpc")
    server = grpc.server(futures.ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        ray_engine._require_answer(f"ray://127.0.0.1:{port}")
    finally:
        server.stop(None)
    for address in (None, "auto", "local"):
        ray_engine._require_answer(address)

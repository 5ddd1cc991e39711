"""``/health`` and ``/metrics`` on the loopback interface; without patient data."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

if TYPE_CHECKING:
    from liver_tf.node.service import Node

#: Seconds without progress after which the node counts as hung; one prediction takes minutes.
HUNG_AFTER = 3600.0


def health(node: Node) -> tuple[bool, dict[str, object]]:
    """Whether the node works, and what it would show."""
    problems = []
    if not node.receiver.is_alive:
        problems.append("no associations are accepted")
    if not node.delivery.is_alive():
        problems.append("no results are sent")
    counts = {}
    try:
        counts = node.spool.counts()
        if not node.receiver.has_space():
            problems.append("the disk has less free space than is kept")
    except OSError:
        problems.append("the spool cannot be read")
    if time.monotonic() - node.last_step > HUNG_AFTER:
        problems.append("no progress")
    return not problems, {"problems": problems, "series": counts}


class _NodeCollector:
    def __init__(self, node: Node) -> None:
        self._node = node

    def collect(self) -> Iterable[Metric]:
        node = self._node

        def of(kind: Callable, name: str, text: str, values: dict, *labels: str) -> Metric:
            family = kind(f"liver_tf_node_{name}", text, labels=labels)
            for key, value in values.items():
                family.add_metric([str(key)] if labels else [], value)
            return family

        yield of(GaugeMetricFamily, "series", "Series by state", node.spool.counts(), "state")
        answers = {f"{status:04X}": count for status, count in node.receiver.answers.items()}
        yield of(CounterMetricFamily, "objects", "Received objects", answers, "status")
        rejected = dict(node.receiver.rejected)
        yield of(CounterMetricFamily, "rejected", "Rejected associations", rejected, "reason")
        associations = {"": node.receiver.associations}
        yield of(GaugeMetricFamily, "associations", "Associations now", associations)
        outcomes = dict(node.outcomes)
        yield of(CounterMetricFamily, "outcomes", "Series by outcome", outcomes, "outcome")
        unwritten = dict(node.unwritten)
        yield of(CounterMetricFamily, "not_written", "Results not written", unwritten, "code")
        seconds = {"": node.prediction_seconds}
        yield of(CounterMetricFamily, "prediction_seconds", "Time of predictions", seconds)
        yield of(CounterMetricFamily, "stored", "Results stored", {"": node.delivery.stored})
        yield of(CounterMetricFamily, "failed", "Failed sends", {"": node.delivery.failures})
        yield of(GaugeMetricFamily, "free_bytes", "Free disk", {"": node.spool.free_bytes()})


class Monitor:
    """Answers HTTP requests on 127.0.0.1 in a thread of its own."""

    def __init__(self, node: Node, port: int) -> None:
        registry = CollectorRegistry()
        registry.register(_NodeCollector(node))
        ProcessCollector(registry=registry)

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_GET(self) -> None:
                if self.path == "/health":
                    good, facts = health(node)
                    answer, kind = json.dumps(facts).encode(), "application/json"
                    self.send_response(200 if good else 503)
                elif self.path == "/metrics":
                    answer, kind = generate_latest(registry), CONTENT_TYPE_LATEST
                    self.send_response(200)
                else:
                    answer, kind = b"not found\n", "text/plain"
                    self.send_response(404)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, name="monitor", daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def stop(self) -> None:
        """Close the port."""
        self._server.shutdown()
        self._server.server_close()

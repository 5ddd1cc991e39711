"""Servers whose answers are wrong, too long, or never end."""

import contextlib
import http.server
import json
import socketserver
import threading
import time

import numpy as np
import pytest
import tensorflow as tf

from liver_tf.refusals import Refusal
from liver_tf.serving import model_clients
from liver_tf.serving.answer_types import typed_answer
from liver_tf.serving.model_clients import Rest
from tests.builders.served import draw_slices

HU, SPACING = draw_slices(1, 64, 64), np.zeros((1, 2))
GOOD = {
    "label_map": [[[0, 1], [2, 2]]],
    "found_liver": [True],
    "found_lesion": [1],
    "diagnosis": [2],
    "diagnosis_probability": [[0.5, 0.25, 0.25]],
    "liver_area_mm2": [float("nan")],
    "lesion_area_mm2": [3],
    "model_id": [7],
}


@pytest.fixture
def serve():
    """Starts a server that answers every request by a function; returns its URL."""
    servers = []

    def start(write):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                with contextlib.suppress(OSError):  # the client has closed the connection
                    write(self)

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            block_on_close = False

        servers.append(Server(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}/v1/models/liver"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def sends(body):
    def write(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(body)

    return write


def ask(url):
    return Rest(url)(HU, SPACING)


def test_a_good_answer_is_typed(serve):
    answer = ask(serve(sends(json.dumps({"outputs": GOOD}).encode())))
    assert {name: str(array.dtype) for name, array in answer.items()} == {
        "label_map": "uint8",
        "found_liver": "bool",
        "found_lesion": "bool",
        "diagnosis": "int32",
        "diagnosis_probability": "float32",
        "liver_area_mm2": "float32",
        "lesion_area_mm2": "float32",
        "model_id": "int32",
    }
    assert answer["found_lesion"].tolist() == [True]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("found_lesion", ["false"]),
        ("found_lesion", ["nan"]),
        ("found_lesion", [2]),
        ("found_lesion", [0.5]),
        ("found_lesion", None),
        ("label_map", [[[300, 0]]]),
        ("label_map", [[[-1, 0]]]),
        ("label_map", [[[1.5, 0]]]),
        ("label_map", [[[0, 1], [2]]]),
        ("label_map", []),
        ("diagnosis", [2.9]),
        ("diagnosis", [2**40]),
        ("diagnosis", [10**40]),
        ("diagnosis_probability", [["0.5"]]),
        ("lesion_area_mm2", [None]),
    ],
)
def test_values_that_would_change_their_meaning_are_refused(serve, name, value):
    assert typed_answer(GOOD)
    body = json.dumps({"outputs": {**GOOD, name: value}}).encode()
    with pytest.raises(Refusal, match=rf"\[answer-invalid\].*{name}"):
        ask(serve(sends(body)))


@pytest.mark.parametrize(
    "body", [b"", b"3", b"[]", b"{}", b"\xff", b'{"outputs": ', b"{" * 40 + b"["]
)
def test_other_text_is_no_answer(serve, body):
    with pytest.raises(Refusal, match=r"\[no-answer\]"):
        ask(serve(sends(body)))


@pytest.mark.parametrize("outputs", [3, None, [], "label_map", [GOOD]])
def test_outputs_that_are_no_table_are_refused(serve, outputs):
    with pytest.raises(Refusal, match=r"\[answer-invalid\]"):
        ask(serve(sends(json.dumps({"outputs": outputs}).encode())))


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"outputs": [' + b"[]," * 40_000 + b"[]]}"])
def test_text_of_many_lists_is_not_parsed(serve, body, monkeypatch):
    monkeypatch.setattr(json, "loads", lambda text: pytest.fail("parsed"))
    with pytest.raises(Refusal, match=r"\[answer-invalid\].*more values"):
        ask(serve(sends(body)))


def test_an_answer_without_end_is_not_read_on(serve):
    sent = []

    def write(handler):
        handler.send_response(200)
        handler.end_headers()
        while sum(sent) < 2**27:
            sent.append(handler.wfile.write(bytes(2**16)))

    with pytest.raises(Refusal, match=r"\[no-answer\].*more than the \d+ bytes"):
        ask(serve(write))
    assert sum(sent) < 2**27


@pytest.mark.parametrize("part", ["header", "body"])
def test_a_slow_answer_does_not_outlast_the_limit(serve, monkeypatch, part):
    monkeypatch.setattr(model_clients, "SECONDS", 0.5)

    def write(handler):
        if part == "body":
            handler.send_response(200)
            handler.end_headers()
        for _ in range(100):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.1)

    start = time.monotonic()
    with pytest.raises(Refusal, match=r"\[no-answer\].*TimeoutError"):
        ask(serve(write))
    assert time.monotonic() - start < 5


def test_something_other_than_http_is_no_answer():
    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            self.request.recv(100)
            self.wfile.write(b"SSH-2.0-nothing\r\n\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(Refusal, match=r"\[no-answer\]"):
            ask(f"http://127.0.0.1:{server.server_address[1]}/v1/models/liver")
        server.shutdown()


def test_one_value_does_not_become_a_large_tensor():
    message = tf.make_tensor_proto(np.zeros(1, np.uint8))
    message.tensor_shape.dim[0].size = 64 * 64
    assert model_clients._array("label_map", message, HU.shape).shape == (64 * 64,)
    for size in (10**12, -1, 64 * 64 + 1):
        message.tensor_shape.dim[0].size = size
        with pytest.raises(Refusal, match=r"\[answer-invalid\].*label_map"):
            model_clients._array("label_map", message, HU.shape)
    message = tf.make_tensor_proto(["false"])
    with pytest.raises(Refusal, match=r"\[answer-invalid\]"):
        typed_answer({"found_lesion": model_clients._array("found_lesion", message, HU.shape)})

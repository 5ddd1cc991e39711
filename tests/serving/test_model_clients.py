"""Clients against loopback servers that speak the protocols of TensorFlow Serving."""

import http.server
import json
import threading
from concurrent import futures

import numpy as np
import pytest
import tensorflow as tf

from liver_tf.refusals import Refusal
from liver_tf.serving.model_clients import Grpc, Loaded, Rest, rest_body
from tests.builders.served import call_model, draw_slices

SPACING = np.float32([[0.7, 0.9], [0.0, 0.0]])


@pytest.fixture
def rest_url(exported):
    """An HTTP server that answers requests like TF Serving's RESTful API."""
    signature = exported.signature()
    specs = signature.structured_input_signature[1]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path != "/v1/models/liver:predict":
                return self.answer(404, json.dumps({"error": "Servable not found"}))
            assert body.keys() == {"signature_name", "inputs"}
            try:
                inputs = {
                    name: tf.constant(value, specs[name].dtype)
                    for name, value in body["inputs"].items()
                }
                outputs = exported.signature(body["signature_name"])(**inputs)
                answer = {"outputs": {k: v.numpy().tolist() for k, v in outputs.items()}}
                status, text = 200, json.dumps(answer)
            except tf.errors.InvalidArgumentError as error:
                status, text = 400, json.dumps({"error": error.message[:300]})
            self.answer(status, text)

        def answer(self, status, text):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/models/liver"
    server.shutdown()
    server.server_close()


@pytest.fixture
def grpc_target(exported):
    grpc = pytest.importorskip("grpc", reason="gRPC is missing (pip install 'liver_tf[serving]')")
    apis = pytest.importorskip(
        "tensorflow_serving.apis", reason="messages are missing (pip install 'liver_tf[serving]')"
    )
    assert apis
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):
            if request.model_spec.name != "liver":
                context.abort(grpc.StatusCode.NOT_FOUND, "Servable not found")
            inputs = {k: tf.constant(tf.make_ndarray(v)) for k, v in request.inputs.items()}
            try:
                outputs = exported.signature(request.model_spec.signature_name)(**inputs)
            except tf.errors.InvalidArgumentError as error:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, error.message[:300])
            response = predict_pb2.PredictResponse()
            for name, value in outputs.items():
                response.outputs[name].CopyFrom(tf.make_tensor_proto(value.numpy()))
            return response

    limit = [("grpc.max_receive_message_length", 32 * 2**20), ("grpc.max_send_message_length", -1)]
    server = grpc.server(futures.ThreadPoolExecutor(1), options=limit)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None)


def check(client, exported):
    hu = draw_slices(2, 64, 80)
    answer = client(hu, SPACING)
    expected = call_model(exported.signature(), hu, SPACING)
    assert set(answer) == set(expected)
    for name, value in expected.items():
        assert answer[name].dtype == value.dtype
        np.testing.assert_array_equal(answer[name], value)
    assert np.isnan(answer["liver_area_mm2"]).tolist() == [False, True]


def test_rest(rest_url, exported):
    check(Rest(rest_url), exported)


def test_grpc(grpc_target, exported):
    check(Grpc(grpc_target, "liver"), exported)


def test_grpc_accepts_answers_beyond_4_mib(grpc_target):
    hu = draw_slices(17, 512, 512)
    answer = Grpc(grpc_target, "liver")(hu, SPACING[:1])
    assert answer["label_map"].nbytes > 4 * 2**20
    assert answer["label_map"].shape == hu.shape


def test_a_request_beyond_the_limit_of_the_server_is_explained(grpc_target):
    hu = np.resize(draw_slices(1, 512, 512), (33, 512, 512))
    words = r"RESOURCE_EXHAUSTED.*send fewer slices.*grpc\.max_receive_message_length"
    with pytest.raises(Refusal, match=rf"(?s)\[no-answer\].*{words}"):
        Grpc(grpc_target, "liver")(hu, SPACING[:1])


def test_an_error_of_the_server_is_reported(rest_url, grpc_target):
    for client in (Rest(rest_url + "s"), Grpc(grpc_target, "another")):
        with pytest.raises(Refusal, match=r"(?s)\[no-answer\].*(status 404|NOT_FOUND).*not found"):
            client(draw_slices(2, 64, 64), SPACING)


@pytest.mark.parametrize(
    ("hu", "spacing", "code", "words"),
    [
        (np.zeros((8, 8)), SPACING[:1], "request-shape", "Pass a single slice as hu"),
        (np.zeros((0, 8, 8)), SPACING[:1], "request-shape", r"shape \[0, 8, 8\]"),
        (draw_slices(2, 8, 8), np.ones((3, 2)), "request-shape", r"spacing_mm \[2, 2\]"),
        (draw_slices(2, 8, 8), np.ones(2), "request-shape", r"shape \[2\]"),
        (
            draw_slices(2, 64, 64),
            SPACING / 1000,
            "request-spacing",
            "0.01 to 20 mm, or 0 if unknown",
        ),
        (draw_slices(2, 64, 64), -SPACING, "request-spacing", "found -0.9 to"),
        (draw_slices(2, 64, 64), SPACING * np.nan, "request-spacing", "0.01 to 20 mm"),
        (draw_slices(2, 64, 64), SPACING * 100, "request-spacing", "0.01 to 20 mm"),
        (draw_slices(2, 64, 64), SPACING / 10, "request-spacing", "longer side of 30 to 2000 mm"),
        (draw_slices(2, 64, 64) * np.nan, SPACING, "hu-not-finite", "NaN"),
        (draw_slices(2, 64, 64) + 1024, SPACING, "hu-unscaled", "look unscaled"),
        (draw_slices(2, 64, 64) * 999, SPACING, "hu-impossible", "between -32768 and 32767"),
    ],
)
def test_invalid_requests_are_not_sent(hu, spacing, code, words):
    """No server listens there, so a request that was sent would be refused as no-answer."""
    with pytest.raises(Refusal, match=rf"\[{code}\].*{words}"):
        Rest("http://127.0.0.1:9/v1/models/liver")(hu, spacing)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/v1/models/liver", "http://[::1", "liver"])
def test_no_rest_server(url):
    with pytest.raises(Refusal, match=r"\[no-answer\]"):
        Rest(url)(draw_slices(1, 64, 64), SPACING[:1])


def test_no_grpc_server():
    reason = "messages are missing (pip install 'liver_tf[serving]')"
    pytest.importorskip("tensorflow_serving.apis", reason=reason)
    with pytest.raises(Refusal, match=r"\[no-answer\]"):
        Grpc("127.0.0.1:9", "liver")(draw_slices(1, 64, 64), SPACING[:1])


def test_no_model(tmp_path):
    with pytest.raises(Refusal, match=r"\[no-saved-model\]"):
        Loaded(tmp_path)


def test_integer_hu_make_short_requests():
    hu = draw_slices(1, 64, 64).round()
    assert len(rest_body(hu, SPACING[:1])) < 0.75 * len(rest_body(hu + 0.5, SPACING[:1]))
    body = json.loads(rest_body(hu, SPACING[:1]))
    np.testing.assert_array_equal(body["inputs"]["hu"], hu)

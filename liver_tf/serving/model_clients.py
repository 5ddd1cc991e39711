"""Clients of an exported model: loaded in this process, OpenVINO, REST, gRPC.

REST needs only Python; gRPC needs the extra ``serving``, OpenVINO the extra ``openvino``.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from liver_tf.refusals import Refusal
from liver_tf.serving.client_checks import checked_request

SIGNATURE = "serving_default"
SECONDS = 60.0

#: The default of gRPC is 4 MiB; 128 slices of 512 x 512 take 128 MiB as float32.
LARGEST_MESSAGE = 256 * 2**20
_MESSAGES = [
    ("grpc.max_receive_message_length", LARGEST_MESSAGE),
    ("grpc.max_send_message_length", LARGEST_MESSAGE),
]


class Client(Protocol):
    """Takes ``hu`` float32 [batch, rows, columns] and ``spacing_mm`` float32 [batch, 2]."""

    def __call__(self, hu: np.ndarray, spacing_mm: np.ndarray) -> dict[str, np.ndarray]:
        """The outputs of ``serving_default`` by name.

        Raises:
          Refusal: ``no-answer``; as ``checked_request``, before anything is sent.
        """


def _outputs(answer: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The outputs with ``found_*`` as bool, which may be exported as uint8."""
    return {
        name: value.astype(bool) if name.startswith("found_") else value
        for name, value in answer.items()
    }


class Loaded:
    """A SavedModel loaded into this process, from its version folder."""

    def __init__(self, folder: Path) -> None:
        refuse_no_model(folder)
        self._module = tf.saved_model.load(str(folder))
        self._serve = self._module.signatures[SIGNATURE]

    def __call__(self, hu: np.ndarray, spacing_mm: np.ndarray) -> dict[str, np.ndarray]:
        hu, spacing_mm = checked_request(hu, spacing_mm)
        answer = self._serve(hu=tf.constant(hu), spacing_mm=tf.constant(spacing_mm))
        return _outputs({name: value.numpy() for name, value in answer.items()})


class OpenVino:
    """A SavedModel run by OpenVINO (extra ``openvino``), from its version folder."""

    def __init__(self, folder: Path) -> None:
        refuse_no_model(folder)
        try:
            import openvino
        except ImportError:
            raise _not_installed("OpenVINO", "openvino") from None
        # In 32 bits, as TensorFlow; by default OpenVINO uses 16 where the processor can.
        exact = {"INFERENCE_PRECISION_HINT": "f32"}
        self._model = openvino.Core().compile_model(str(folder), "CPU", exact)

    def __call__(self, hu: np.ndarray, spacing_mm: np.ndarray) -> dict[str, np.ndarray]:
        hu, spacing_mm = checked_request(hu, spacing_mm)
        answer = self._model({"hu": hu, "spacing_mm": spacing_mm})
        return _outputs({port.get_any_name(): value for port, value in answer.items()})


class Rest:
    """A model on TensorFlow Serving or OpenVINO Model Server, over REST.

    Args:
      url: Of the model, such as ``http://localhost:8501/v1/models/liver``.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/") + ":predict"

    def __call__(self, hu: np.ndarray, spacing_mm: np.ndarray) -> dict[str, np.ndarray]:
        hu, spacing_mm = checked_request(hu, spacing_mm)
        request = urllib.request.Request(
            self._url, rest_body(hu, spacing_mm), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as response:
                return rest_answer(response.read())
        except urllib.error.HTTPError as error:
            body = error.read(2000).decode(errors="replace")
            raise _no_answer(f"status {error.code}: {body}") from None
        except (OSError, ValueError, KeyError) as error:
            raise _no_answer(f"{type(error).__name__}") from None


def rest_body(hu: np.ndarray, spacing_mm: np.ndarray) -> bytes:
    """The request in the column format of TensorFlow Serving (RESTful API, "predict")."""
    # Integers if all HU are integers: a third of the text.
    integers = hu.astype(np.int32)
    numbers = integers if np.array_equal(integers, hu) else hu
    inputs = {"hu": numbers.tolist(), "spacing_mm": np.asarray(spacing_mm).tolist()}
    body = {"signature_name": SIGNATURE, "inputs": inputs}
    return json.dumps(body, separators=(",", ":"), allow_nan=False).encode()


def rest_answer(body: bytes) -> dict[str, np.ndarray]:
    """The outputs by name; areas are NaN if the spacing is unknown."""
    dtypes = {
        "label_map": np.uint8,
        "found_liver": bool,
        "found_lesion": bool,
        "diagnosis": np.int32,
    }
    outputs = json.loads(body)["outputs"]
    return {name: np.array(value, dtypes.get(name, np.float32)) for name, value in outputs.items()}


class Grpc:
    """A model on TensorFlow Serving, over gRPC.

    Args:
      target: Host and port, such as ``localhost:8500``.
      model: Name of the model on the server.
    """

    def __init__(self, target: str, model: str) -> None:
        self._target, self._model = target, model

    def __call__(self, hu: np.ndarray, spacing_mm: np.ndarray) -> dict[str, np.ndarray]:
        try:
            import grpc
            from tensorflow_serving.apis import prediction_service_pb2_grpc as service
        except ImportError:
            raise _not_installed("the messages of TensorFlow Serving", "serving") from None
        hu, spacing_mm = checked_request(hu, spacing_mm)
        with grpc.insecure_channel(self._target, options=_MESSAGES) as channel:
            stub = service.PredictionServiceStub(channel)
            try:
                response = stub.Predict(grpc_request(self._model, hu, spacing_mm), timeout=SECONDS)
            except grpc.RpcError as error:
                found = f"{error.code().name}: {error.details()}"
                large = error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
                raise _no_answer(found, _TOO_LARGE if large else _NO_SERVER) from None
        return _outputs({k: tf.make_ndarray(value) for k, value in response.outputs.items()})


def grpc_request(model: str, hu: np.ndarray, spacing_mm: np.ndarray) -> Any:
    """A ``PredictRequest`` of TensorFlow Serving."""
    from tensorflow_serving.apis import predict_pb2

    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = SIGNATURE
    for name, value in (("hu", hu), ("spacing_mm", spacing_mm)):
        request.inputs[name].CopyFrom(tf.make_tensor_proto(np.asarray(value, np.float32)))
    return request


def refuse_no_model(folder: Path) -> None:
    """Raise ``Refusal`` ``no-saved-model`` unless this is the version folder of a SavedModel."""
    if not (folder / "saved_model.pb").is_file():
        raise Refusal(
            "no-saved-model",
            folder,
            expected="the version folder of a SavedModel",
            found="a folder without saved_model.pb" if folder.is_dir() else "no such folder",
            remedy="Export a model with python -m trainers.export.",
        )


def _not_installed(what: str, extra: str) -> Refusal:
    return Refusal(
        "extra-missing",
        None,
        expected=what,
        found="an installation without it",
        remedy=f"Install the extra: pip install 'liver_tf[{extra}]'.",
    )


_NO_SERVER = "Check that the server is running, has loaded the model and has this address."
_TOO_LARGE = (
    "If a message exceeded a limit, send fewer slices at a time, use hu_int16 (half the size), or "
    f"raise grpc.max_receive_message_length ({LARGEST_MESSAGE // 2**20} MiB in this client) of the "
    "server or of a proxy."
)


def _no_answer(found: str, remedy: str = _NO_SERVER) -> Refusal:
    return Refusal(
        "no-answer",
        None,
        expected="an answer from the model server",
        found=found,
        remedy=remedy,
    )

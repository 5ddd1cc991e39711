"""Clients of an exported model: loaded in this process, OpenVINO, REST, gRPC.

REST needs only Python; gRPC needs the extra ``serving``, OpenVINO the extra ``openvino``.
"""

import http.client
import json
import math
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from liver_tf import checksums
from liver_tf.ct.hu_plausibility import (
    FIELD_LIMITS_MM,
    SPACING_LIMITS_MM,
    HuHistogram,
    refuse_implausible_hu,
)
from liver_tf.export.saved_model import EXTRA, MEANING
from liver_tf.extras import install_extra
from liver_tf.inference.slice_batches import not_finite, raise_not_finite
from liver_tf.refusals import Refusal
from liver_tf.serving.answer_types import (
    invalid_answer,
    largest_tensor,
    largest_text,
    refuse_too_many_values,
    typed_answer,
)
from liver_tf.serving.quiet_openvino import import_openvino

SIGNATURE = "serving_default"
_GRAPH = "saved_model.pb"
#: For a complete request and its answer.
SECONDS = 60.0

#: The default of gRPC is 4 MiB; 128 slices of 512 x 512 take 128 MiB as float32.
LARGEST_MESSAGE = 256 * 2**20

_NO_SERVER = "Check that the server is running, has loaded the model and has this address."
_TOO_LARGE = (
    "If a message exceeded a limit, send fewer slices at a time, use hu_int16 (half the size), or "
    f"raise grpc.max_receive_message_length ({LARGEST_MESSAGE // 2**20} MiB in this client) of the "
    "server or of a proxy."
)


class Client:
    """Base of the clients."""

    def __call__(self, hu: np.ndarray, spacing_mm: np.ndarray) -> dict[str, np.ndarray]:
        """The outputs of ``serving_default`` by name, as in ``answer_types``.

        Args:
          hu: [batch, rows, columns].
          spacing_mm: [batch, 2], or [1, 2] for all slices; 0 where unknown.

        Raises:
          Refusal: ``no-answer``, ``answer-invalid``; as ``checked_request``, before anything is
            sent.
        """
        return typed_answer(self._answer(*checked_request(hu, spacing_mm)))

    def _answer(self, hu: np.ndarray, spacing_mm: np.ndarray) -> dict[str, np.ndarray]:
        raise NotImplementedError


class Loaded(Client):
    """A SavedModel loaded into this process, from its version folder."""

    def __init__(self, folder: Path) -> None:
        check_model(folder)
        self._module = tf.saved_model.load(str(folder))

    def _answer(self, hu: np.ndarray, spacing_mm: np.ndarray) -> dict[str, np.ndarray]:
        serve = self._module.signatures[SIGNATURE]
        try:
            answer = serve(hu=tf.constant(hu), spacing_mm=tf.constant(spacing_mm))
        except tf.errors.InvalidArgumentError as error:
            raise_not_finite(error)
            raise
        return {name: value.numpy() for name, value in answer.items()}


class OpenVino(Client):
    """A SavedModel run by OpenVINO (extra ``openvino``), from its version folder."""

    def __init__(self, folder: Path) -> None:
        check_model(folder)
        openvino = import_openvino()
        # In 32 bits, as TensorFlow; by default OpenVINO uses 16 where the processor can.
        exact = {"INFERENCE_PRECISION_HINT": "f32"}
        self._model = openvino.Core().compile_model(str(folder), "CPU", exact)

    def _answer(self, hu: np.ndarray, spacing_mm: np.ndarray) -> dict[str, np.ndarray]:
        ports = self._model({"hu": hu, "spacing_mm": spacing_mm})
        answer = {port.get_any_name(): value for port, value in ports.items()}
        if np.isnan(answer["diagnosis_probability"]).any():  # OpenVINO ignores checks of the graph
            raise not_finite()
        return answer


class Rest(Client):
    """A model on a server over REST, such as ``http://localhost:8501/v1/models/liver``."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/") + ":predict"

    def _answer(self, hu: np.ndarray, spacing_mm: np.ndarray) -> dict[str, np.ndarray]:
        body = rest_body(hu, spacing_mm)
        try:
            request = urllib.request.Request(self._url, body, {"Content-Type": "application/json"})
            text = _within(SECONDS, lambda: _fetch(request, largest_text(hu.shape)))
            refuse_too_many_values(text, hu.shape)
            answer = json.loads(text)
        except (OSError, ValueError, RecursionError, http.client.HTTPException) as error:
            raise _no_answer(f"{type(error).__name__}") from None
        if not isinstance(answer, dict) or "outputs" not in answer:
            raise _no_answer("JSON without outputs")
        return answer["outputs"]


def _fetch(request: urllib.request.Request, most_bytes: int) -> bytes:
    """The body of the answer; not read beyond ``most_bytes``."""
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as response:
            body = response.read(most_bytes + 1)
    except urllib.error.HTTPError as error:
        text = error.read(2000).decode(errors="replace")
        raise _no_answer(f"status {error.code}: {text}") from None
    if len(body) > most_bytes:
        raise _no_answer(f"more than the {most_bytes} bytes that the answer can have")
    return body


def _within(seconds: float, call: Callable[[], bytes]) -> bytes:
    """The result of a call; raises ``TimeoutError`` if it takes longer.

    The limit of a socket starts again with every byte. A call that does not end is left to a
    thread, which ends with the process.
    """
    future: Future[bytes] = Future()

    def work() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return future.result(seconds)


def rest_body(hu: np.ndarray, spacing_mm: np.ndarray) -> bytes:
    """The request in the column format of TensorFlow Serving (RESTful API, "predict")."""
    # Integers if all HU are integers: a third of the text.
    integers = hu.astype(np.int32)
    numbers = integers if np.array_equal(integers, hu) else hu
    inputs = {"hu": numbers.tolist(), "spacing_mm": np.asarray(spacing_mm).tolist()}
    body = {"signature_name": SIGNATURE, "inputs": inputs}
    return json.dumps(body, separators=(",", ":"), allow_nan=False).encode()


class Grpc(Client):
    """A model on TensorFlow Serving over gRPC; ``target`` is host:port."""

    def __init__(self, target: str, model: str) -> None:
        self._target, self._model = target, model

    def _answer(self, hu: np.ndarray, spacing_mm: np.ndarray) -> dict[str, np.ndarray]:
        try:
            import grpc
            from tensorflow_serving.apis import predict_pb2
            from tensorflow_serving.apis import prediction_service_pb2_grpc as service
        except ImportError:
            raise _not_installed("the messages of TensorFlow Serving", "serving") from None
        request = predict_pb2.PredictRequest()
        request.model_spec.name = self._model
        request.model_spec.signature_name = SIGNATURE
        for name, value in (("hu", hu), ("spacing_mm", spacing_mm)):
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        limits = [
            (f"grpc.max_{way}_message_length", LARGEST_MESSAGE) for way in ("receive", "send")
        ]
        with grpc.insecure_channel(self._target, options=limits) as channel:
            try:
                answer = service.PredictionServiceStub(channel).Predict(request, timeout=SECONDS)
            except grpc.RpcError as error:
                found = f"{error.code().name}: {error.details()}"
                large = error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
                raise _no_answer(found, _TOO_LARGE if large else _NO_SERVER) from None
        return {name: _array(name, value, hu.shape) for name, value in answer.outputs.items()}


def _array(name: str, tensor: Any, shape: tuple[int, ...]) -> np.ndarray:
    """A tensor of a message. A single value can stand for any shape, however large."""
    size = math.prod(each.size for each in tensor.tensor_shape.dim)
    if 0 <= size <= largest_tensor(shape):
        try:
            return tf.make_ndarray(tensor)
        except (ValueError, TypeError):
            pass
    raise invalid_answer([name])


def checked_request(hu: np.ndarray, spacing_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return HU [batch, rows, columns] and spacing [batch or 1, 2] as float32.

    Servers report a wrong rank in terms of the graph's operations, and OpenVINO does not run the
    checks of the graph (:mod:`liver_tf.export.signature_checks`).

    Raises:
      Refusal: ``request-shape``, ``request-spacing``; ``hu-not-finite``, ``hu-unscaled``,
        ``hu-impossible`` by the rules for files, slice by slice.
    """
    hu, spacing_mm = np.asarray(hu), np.asarray(spacing_mm)
    if hu.ndim != 3 or not hu.size or hu.dtype.kind not in "iuf":
        raise _refusal(
            "request-shape",
            "numbers [batch, rows, columns], at least one slice of at least one pixel",
            f"{hu.dtype} of shape {list(hu.shape)}",
            "Pass a single slice as hu[None].",
        )
    if spacing_mm.ndim != 2 or spacing_mm.shape not in ((len(hu), 2), (1, 2)):
        raise _refusal(
            "request-shape",
            f"spacing_mm [{len(hu)}, 2] (row, column) for each slice, or [1, 2] for all of them",
            f"shape {list(spacing_mm.shape)}",
            "Use 0 for unknown spacing.",
        )
    spacing_mm = spacing_mm.astype(np.float32, copy=False)
    _check_spacing(spacing_mm, hu.shape[1:])
    for slice_hu in hu:
        if not np.isfinite(slice_hu).all():
            raise _refusal(
                "hu-not-finite",
                "finite Hounsfield units",
                "NaN or infinite pixels",
                "Find out what produced them; fill padding with air (-1000).",
            )
        one = HuHistogram()
        one.add(slice_hu)
        one.refuse_range(None)
    refuse_implausible_hu(hu, None)
    return hu.astype(np.float32, copy=False), spacing_mm


def _check_spacing(spacing_mm: np.ndarray, size: tuple[int, int]) -> None:
    sides = (spacing_mm * np.array(size, np.float32)).max(axis=1)
    for name, values, limits in (
        ("a spacing", spacing_mm, SPACING_LIMITS_MM),
        ("slices with a longer side", sides, FIELD_LIMITS_MM),
    ):
        low, high = np.array(limits, np.float32)
        if not ((values == 0) | ((values >= low) & (values <= high))).all():  # NaN fails too
            raise _refusal(
                "request-spacing",
                f"{name} of {limits[0]:g} to {limits[1]:g} mm, or 0 if unknown",
                f"{values.min():g} to {values.max():g} mm",
                "Check the unit (mm); use 0 for unknown spacing.",
            )


def check_model(folder: Path) -> None:
    """Raise ``Refusal`` unless this is the version folder of a SavedModel, as it was exported.

    Its code is ``no-saved-model`` or, as that of ``checksums.verify``, ``checksum-differs``.
    """
    if not (folder / _GRAPH).is_file():
        raise Refusal(
            "no-saved-model",
            folder,
            expected="the version folder of a SavedModel",
            found="a folder without saved_model.pb" if folder.is_dir() else "no such folder",
            remedy="Export a model with liver-tf export.",
        )
    checksums.verify(folder, _GRAPH, f"{EXTRA}/{MEANING}", all_listed=True)


def _not_installed(what: str, extra: str) -> Refusal:
    return _refusal("extra-missing", what, "an installation without it", install_extra(extra))


def _no_answer(found: str, remedy: str = _NO_SERVER) -> Refusal:
    return _refusal("no-answer", "an answer from the model server", found, remedy)


def _refusal(code: str, expected: str, found: str, remedy: str) -> Refusal:
    return Refusal(code, None, expected=expected, found=found, remedy=remedy)

"""Warm-up requests, which TensorFlow Serving runs when it loads a model.

They are ``PredictionLog`` records in ``assets.extra/tf_serving_warmup_requests`` (TensorFlow
Serving, "SavedModel Warmup"). The messages come from the extra ``serving``.

A server with batching does not load a model whose warm-up request its batcher rejects. Therefore
only signatures that can be batched get a request: those with slices as the first axis of all inputs
and outputs.
"""

from pathlib import Path

import numpy as np
import tensorflow as tf

from liver_tf import atomic_files
from liver_tf.export.signatures import DICOM_PIXELS, INT16, PROBABILITIES, SLICES
from liver_tf.records.tfrecord import RecordWriter

FILE = "tf_serving_warmup_requests"
#: Rows and columns of a typical slice, so that its memory and kernels are ready.
SIDE = 512
_SPACING_MM = 0.75


def write_warmup(folder: Path, model: str) -> bool:
    """Write a request for each slice signature; False if the extra ``serving`` is missing.

    Args:
      folder: ``assets.extra`` of the version.
      model: Name under which the model is served.
    """
    try:
        from tensorflow_serving.apis import predict_pb2, prediction_log_pb2
    except ImportError:
        return False
    with atomic_files.atomic_write(folder / FILE) as temporary, open(temporary, "wb") as file:
        writer = RecordWriter(file)
        for signature, inputs in warmup_inputs().items():
            request = predict_pb2.PredictRequest()
            request.model_spec.name = model
            request.model_spec.signature_name = signature
            for name, value in inputs.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
            log = prediction_log_pb2.PredictionLog(
                predict_log=prediction_log_pb2.PredictLog(request=request)
            )
            writer.write([log.SerializeToString()])
    return True


def warmup_inputs() -> dict[str, dict[str, np.ndarray]]:
    """Inputs by signature, a disc of soft tissue in air; ``volume`` cannot be batched."""
    rows, columns = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    hu = np.where(np.hypot(rows, columns) < 0.4 * SIDE, 60, -1000).astype(np.int16)[None]
    spacing = np.full((1, 2), _SPACING_MM, np.float32)
    return {
        SLICES: {"hu": hu.astype(np.float32), "spacing_mm": spacing},
        INT16: {"hu": hu, "spacing_mm": spacing},
        PROBABILITIES: {"hu": hu.astype(np.float32), "spacing_mm": spacing},
        DICOM_PIXELS: {
            "stored": hu.astype(np.int32),
            "slope": np.ones(1, np.float32),
            "intercept": np.zeros(1, np.float32),
            "spacing_mm": spacing,
        },
    }

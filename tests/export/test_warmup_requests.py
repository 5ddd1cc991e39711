"""Warm-up requests match the signatures and can be batched."""

import pytest
import tensorflow as tf

from liver_tf.records.tfrecord import read_records


@pytest.mark.long
def test_warm_up_requests_match_the_signatures(exported):
    logs = pytest.importorskip(
        "tensorflow_serving.apis.prediction_log_pb2",
        reason="messages are missing (pip install 'liver_tf[serving]')",
    )
    path = exported.folder / "assets.extra" / "tf_serving_warmup_requests"
    warmed = []
    for record in read_records(path):
        request = logs.PredictionLog.FromString(record).predict_log.request
        assert request.model_spec.name == "liver"
        signature = exported.signature(request.model_spec.signature_name)
        inputs = {k: tf.constant(tf.make_ndarray(v)) for k, v in request.inputs.items()}
        # Required by the batcher of a server, which otherwise does not load the model.
        assert set(inputs) == set(signature.structured_input_signature[1])
        tensors = [*inputs.values(), *signature(**inputs).values()]
        assert all(value.shape.rank for value in tensors)
        assert {value.shape[0] for value in tensors} == {len(inputs["spacing_mm"])}
        warmed.append(request.model_spec.signature_name)
    assert sorted([*warmed, "volume"]) == sorted(exported.loaded.signatures)


def test_volume_cannot_be_batched(exported):
    """Therefore it has no warm-up request."""
    outputs = exported.signature("volume").structured_outputs
    assert any(value.shape.rank == 0 for value in outputs.values())

"""Signatures beside serving_default: int16, stored DICOM values, volumes."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from liver_tf.export.scan_findings import ScanFindings
from liver_tf.export.signatures import signatures_of
from liver_tf.inference.cascade import Cascade
from liver_tf.inference.lesion_properties import find_lesions
from liver_tf.inference.liver_finder import LiverFinder
from liver_tf.inference.postprocessing import PostProcessing
from tests.builders.served import call_model, draw_slices


def test_int16(exported):
    hu = draw_slices(2, 64, 80).round()
    expected = call_model(exported.signature(), hu, [[0.8, 0.8]])
    answer = call_model(exported.signature("hu_int16"), hu.astype(np.int16), [[0.8, 0.8]])
    for name, value in expected.items():
        np.testing.assert_array_equal(answer[name], value)


def test_spacing_is_optional_except_in_serving_default(exported):
    """TensorFlow's loader requires all inputs; servers take the defaults from here."""
    stored = saved_model_pb2.SavedModel.FromString(
        (exported.folder / "saved_model.pb").read_bytes()
    )
    definitions = stored.meta_graphs[0].signature_def
    for name in ("hu_int16", "probabilities", "dicom_pixels"):
        default = tf.make_ndarray(definitions[name].defaults["spacing_mm"])
        np.testing.assert_array_equal(default, np.zeros((1, 2), np.float32))
    assert not definitions["serving_default"].defaults
    answer = call_model(exported.signature(), draw_slices(2, 64, 80), default)
    assert np.isnan(answer["liver_area_mm2"]).all()


def test_one_spacing_for_all(exported):
    hu = draw_slices(3, 64, 64)
    shared = call_model(exported.signature(), hu, [[0.7, 0.9]])
    each = call_model(exported.signature(), hu, [[0.7, 0.9]] * 3)
    for name, value in each.items():
        np.testing.assert_array_equal(shared[name], value)


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, -1024.0), (0.5, -700.0), (2.0, -2000.0)])
def test_stored_values_of_dicom(exported, slope, intercept):
    stored = np.random.default_rng(0).integers(0, 4096, (2, 64, 64)).astype(np.int32)
    stored[:, 16:48, 16:48] = (np.array([60, 110])[:, None, None] - intercept) / slope
    answer = exported.signature("dicom_pixels")(
        stored=tf.constant(stored),
        slope=tf.constant([slope, slope]),
        intercept=tf.constant([intercept] * 2),
        spacing_mm=tf.constant([[0.8, 0.8]]),
    )
    hu = (stored * slope + intercept).astype(np.float32)
    for name, value in call_model(exported.signature(), hu, [[0.8, 0.8]]).items():
        np.testing.assert_array_equal(answer[name].numpy(), value)


def scan(slices=19):
    """A scan whose liver hangs together through slices, with lesions, int16."""
    hu = np.full((slices, 60, 72), -1000, np.int16)
    z, y, x = np.mgrid[:slices, :60, :72]
    hu[np.hypot((y - 30) / 26, (x - 36) / 32) < 1] = 30
    hu[((z - 9) / 8) ** 2 + ((y - 28) / 18) ** 2 + ((x - 26) / 16) ** 2 < 1] = 110
    hu[((z - 9) / 3) ** 2 + ((y - 24) / 5) ** 2 + ((x - 24) / 5) ** 2 < 1] = 8
    hu[((z - 12) / 2) ** 2 + ((y - 34) / 2) ** 2 + ((x - 30) / 2) ** 2 < 1] = 170
    hu[:4, 40:52, 50:62] = 110  # larger in a slice than the liver there, but another component
    return hu


PROCESSED = PostProcessing(lesion_probability=0.4, fill_holes=True, least_area_mm2=50.0)


@pytest.mark.parametrize(
    ("extent", "how"),
    [
        pytest.param("slice", PostProcessing(), marks=pytest.mark.long),
        ("volume", PROCESSED),
        pytest.param("volume", PostProcessing(), marks=pytest.mark.long),
        pytest.param("slice", PROCESSED, marks=pytest.mark.long),
    ],
    ids=["slice-plain", "volume-processed", "volume-plain", "slice-processed"],
)
def test_volume_equals_predict(intensity_cascade, extent, how):
    cascade = intensity_cascade(extent=extent, how=how)
    hu = scan()
    prediction = cascade.predict(hu, (0.8, 0.9))
    answer = signatures_of(cascade)["volume"](tf.constant(hu), tf.constant([2.5, 0.8, 0.9]))
    np.testing.assert_array_equal(answer["label_map"].numpy(), prediction.labels)
    counts = np.bincount(prediction.labels.ravel(), minlength=5)
    assert counts[2] > 50
    plain = intensity_cascade(extent=extent).predict(hu, (0.8, 0.9))
    assert (plain.labels == prediction.labels).all() == (how == PostProcessing())
    assert answer["diagnosis"].numpy() == counts[2:].argmax() + 2
    voxel_ml = 2.5 * 0.8 * 0.9 / 1000
    np.testing.assert_allclose(answer["liver_ml"], prediction.liver.sum() * voxel_ml, rtol=1e-5)
    np.testing.assert_allclose(answer["lesion_ml"], counts[2:].sum() * voxel_ml, rtol=1e-5)
    sums = prediction.probabilities.astype(np.float64).sum(axis=(0, 1))
    np.testing.assert_allclose(answer["diagnosis_probability"], sums / sums.sum(), atol=1e-3)


@pytest.mark.long
@pytest.mark.parametrize("between_mm", [0.4, 0.0])
def test_flat_lesions_are_dropped_as_by_predict(intensity_cascade, between_mm):
    cascade = intensity_cascade(how=PostProcessing(least_height=0.6))
    hu = scan()
    plain = intensity_cascade().predict(hu, (0.8, 0.9))
    serve = signatures_of(cascade)["volume"]
    answer = serve(tf.constant(hu), tf.constant([between_mm, 0.8, 0.9]))["label_map"].numpy()
    spacing = (between_mm, 0.8, 0.9) if between_mm else (0.8, 0.9)
    np.testing.assert_array_equal(answer, cascade.predict(hu, spacing).labels)
    assert (answer == plain.labels).all() == (between_mm == 0.0)


@pytest.mark.parametrize(
    "threshold", [0.45, *(pytest.param(end, marks=pytest.mark.long) for end in (0.0, 1.0))]
)
def test_volume_has_one_type_per_lesion(intensity_cascade, threshold):
    """As ``predict`` writes it, with other code."""
    cascade = intensity_cascade()
    hu = scan()
    prediction = cascade.predict(hu, (0.8, 0.9))
    lesions = find_lesions(
        *(prediction.labels, hu, None, cascade.label_set),
        probabilities=prediction.probabilities,
        type_threshold=threshold,
    )
    voxels = prediction.labels.copy()
    findings = ScanFindings(SimpleNamespace(hu=hu), prediction.labels, lesions, cascade.label_set)
    expected = findings.with_one_type_per_lesion().labels
    assert (expected != voxels).any()
    assert len(lesions) > 1
    serve = signatures_of(cascade, type_threshold=threshold)["volume"]
    answer = serve(tf.constant(hu), tf.constant([2.5, 0.8, 0.9]))
    np.testing.assert_array_equal(answer["label_map"].numpy(), expected)
    assert (expected == 5).any() == (threshold == 1.0) or threshold == 0.45


def test_volume_of_the_saved_model_equals_predict(exported):
    hu = scan(11)
    answer = exported.signature("volume")(
        hu=tf.constant(hu), spacing_mm=tf.constant([2.5, 0.8, 0.8])
    )
    prediction = exported.cascade.predict(hu, (0.8, 0.8))
    np.testing.assert_array_equal(answer["label_map"].numpy(), prediction.labels)


@pytest.mark.long
def test_volume_without_liver_is_empty(make_network):
    never = LiverFinder(make_network("liver", favoured=[1e4, -1e4]))
    cascade = Cascade(never, make_network("lesion", favoured=[0, 0, 1e4, 0, 0]))
    answer = signatures_of(cascade)["volume"](tf.constant(scan(3)), tf.constant([0.0, 0.0, 0.0]))
    assert not answer["label_map"].numpy().any()
    assert not answer["found_liver"].numpy()
    assert not answer["found_lesion"].numpy()
    assert answer["diagnosis"].numpy() == 0
    assert not answer["diagnosis_probability"].numpy().any()
    assert np.isnan(answer["liver_ml"].numpy())


def test_volume_rejects_batched_requests(exported):
    """A server that joins requests joins spacings too: six numbers are no spacing."""
    with pytest.raises(tf.errors.InvalidArgumentError):
        exported.signature("volume")(
            hu=tf.constant(scan(4)), spacing_mm=tf.constant([2.5, 0.8, 0.8] * 2)
        )

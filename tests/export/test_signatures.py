"""The other signatures: int16, DICOM's stored values, and a scan as a whole."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from liver_tf.export.signatures import signatures_of
from liver_tf.inference.cascade import Cascade
from liver_tf.inference.liver_finder import LiverFinder
from liver_tf.inference.postprocessing import PostProcessing
from liver_tf.serving import served_answer
from tests.builders.ct_files import phantom_hu, write_dicom
from tests.builders.served import ask, draw


def test_int16(exported):
    hu = draw(2, 64, 80).round()
    expected = ask(exported.signature(), hu, [[0.8, 0.8]])
    answer = ask(exported.signature("hu_int16"), hu.astype(np.int16), [[0.8, 0.8]])
    for name, value in expected.items():
        np.testing.assert_array_equal(answer[name], value)


def test_spacing_may_be_left_out_where_openvino_does_not_read(exported):
    """TensorFlow's own loader knows no inputs to leave out; servers take them from here."""
    stored = saved_model_pb2.SavedModel.FromString(
        (exported.folder / "saved_model.pb").read_bytes()
    )
    definitions = stored.meta_graphs[0].signature_def
    for name in ("hu_int16", "probabilities", "dicom_pixels"):
        default = tf.make_ndarray(definitions[name].defaults["spacing_mm"])
        np.testing.assert_array_equal(default, np.zeros((1, 2), np.float32))
    assert not definitions["serving_default"].defaults
    answer = ask(exported.signature(), draw(2, 64, 80), default)
    assert np.isnan(answer["liver_area_mm2"]).all()


def test_one_spacing_for_all(exported):
    hu = draw(3, 64, 64)
    one = ask(exported.signature(), hu, [[0.7, 0.9]])
    each = ask(exported.signature(), hu, [[0.7, 0.9]] * 3)
    for name, value in each.items():
        np.testing.assert_array_equal(one[name], value)


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
    for name, value in ask(exported.signature(), hu, [[0.8, 0.8]]).items():
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


@pytest.mark.parametrize("extent", ["slice", "volume"])
@pytest.mark.parametrize(
    "how",
    [
        PostProcessing(),
        PostProcessing(lesion_probability=0.4, fill_holes=True, least_area_mm2=50.0),
    ],
    ids=["plain", "processed"],
)
def test_a_scan_as_predict_does_it(intensity_cascade, extent, how):
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


def test_a_scan_through_the_file_and_with_networks(exported):
    hu = scan(11)
    answer = exported.signature("volume")(
        hu=tf.constant(hu), spacing_mm=tf.constant([2.5, 0.8, 0.8])
    )
    prediction = exported.cascade.predict(hu, (0.8, 0.8))
    np.testing.assert_array_equal(answer["label_map"].numpy(), prediction.labels)


def test_a_scan_without_liver_is_empty(make_network):
    never = LiverFinder(make_network("liver", favoured=[1e4, -1e4]))
    cascade = Cascade(never, make_network("lesion", favoured=[0, 0, 1e4, 0, 0]))
    answer = signatures_of(cascade)["volume"](tf.constant(scan(3)), tf.constant([0.0, 0.0, 0.0]))
    assert not answer["label_map"].numpy().any()
    assert not answer["found_liver"].numpy()
    assert not answer["found_lesion"].numpy()
    assert answer["diagnosis"].numpy() == 0
    assert not answer["diagnosis_probability"].numpy().any()
    assert np.isnan(answer["liver_ml"].numpy())


def test_a_scan_cannot_be_batched_with_another_by_mistake(exported):
    """A server that joins requests joins spacings too: six numbers are no spacing."""
    with pytest.raises(tf.errors.InvalidArgumentError):
        exported.signature("volume")(
            hu=tf.constant(scan(4)), spacing_mm=tf.constant([2.5, 0.8, 0.8] * 2)
        )


def larger(hu):
    """Every pixel as four: a slice of 24 x 32 pixels is smaller than any liver."""
    return np.kron(hu, np.ones((2, 2), hu.dtype))


def answer_of(share, lesion=True):
    """What a servable answers about a slice with a cyst of most pixels."""

    def client(hu, spacing_mm):
        return {
            "label_map": np.zeros(hu.shape, np.uint8),
            "found_liver": np.array([True]),
            "found_lesion": np.array([lesion]),
            "diagnosis": np.int32([2 if lesion else 0]),
            "diagnosis_probability": np.float32([share]),
            "liver_area_mm2": np.float32([100]),
            "lesion_area_mm2": np.float32([10]),
        }

    return client


def test_both_rules_of_the_type_are_told(exported, tmp_path):
    """Most pixels may be cyst while the mean over them says metastasis."""
    path = write_dicom(tmp_path / "slice.dcm", larger(phantom_hu()[2]))

    def told(client):
        return list(served_answer.ask(client, exported.folder, path, None))

    lines = told(answer_of([0.45, 0.07, 0.48]))
    assert lines[:3] == [
        "diagnosis: cyst",
        "  (the majority type of the lesion pixels)",
        "mean probabilities over the lesion pixels:",
    ]
    assert (
        "diagnosis_agrees: no: by most lesion pixels cyst, by mean probability metastasis; "
        "look at the picture" in lines
    )
    assert "diagnosis_agrees: yes" in told(answer_of([0.48, 0.07, 0.45]))
    healthy = told(answer_of([0, 0, 0], lesion=False))
    assert healthy[0] == "diagnosis: no lesion found"
    assert not any("agrees" in line or "cyst" in line for line in healthy)


@pytest.mark.parametrize(("mm", "odd"), [(0.8, True), (6.0, False)])
def test_a_slice_of_an_odd_size_is_told(exported, tmp_path, mm, odd):
    hu = larger(phantom_hu()[2])
    assert max(hu.shape) * 0.8 < 150 < max(hu.shape) * 6.0

    def spaced(dataset):
        dataset.PixelSpacing = [mm, mm]

    path = write_dicom(tmp_path / "slice.dcm", hu, change=spaced)
    lines = list(served_answer.ask(answer_of([1, 0, 0]), exported.folder, path, None))
    assert any("By its spacing the slice measures" in line for line in lines) == odd


def test_asking_about_a_slice_without_liver_is_no_word_of_health(exported, make_network, tmp_path):
    never = LiverFinder(make_network("liver", favoured=[1e4, -1e4]))
    serve = signatures_of(Cascade(never, make_network("lesion")))["serving_default"]

    def client(hu, spacing_mm):
        return {name: value.numpy() for name, value in serve(hu, spacing_mm).items()}

    path = write_dicom(tmp_path / "slice.dcm", larger(phantom_hu()[2]))
    first = next(iter(served_answer.ask(client, exported.folder, path, None)))
    assert first == "diagnosis: no liver found: not the same as a healthy liver"

"""Equal results from TensorFlow, OpenVINO and ``saved_model_cli``."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from liver_tf.inference.roi_box import windows_of
from liver_tf.refusals import Refusal
from liver_tf.serving.model_clients import Loaded, OpenVino
from tests.builders.served import call_model, draw_slices, require_openvino

#: Batch, rows and columns; all but the first take long.
FIRST, *OTHERS = (
    *((3, 337, 611), (1, 256, 256), (3, 512, 512)),
    *((8, 337, 611), (8, 256, 256), (1, 512, 512)),
)
SHAPES = [FIRST, *(pytest.param(shape, marks=pytest.mark.long) for shape in OTHERS)]


def expected_of(cascade, hu, spacing_mm):
    """Label maps as ``trainers.predict`` writes them for single slices, and mean probabilities."""
    maps, types = [], []
    for slice_hu, spacing in zip(hu, spacing_mm, strict=True):
        prediction = cascade.predict(slice_hu[None], tuple(spacing))
        maps.append(prediction.labels[0])
        sums = prediction.probabilities.astype(np.float64).sum(axis=(0, 1))
        types.append(sums / sums.sum() if sums.any() else sums)
    return np.stack(maps), np.stack(types)


def check(answer, cascade, hu, spacing_mm):
    labels, types = expected_of(cascade, hu, spacing_mm)
    np.testing.assert_array_equal(answer["label_map"], labels)
    assert len(np.unique(labels)) > 2
    # ``predict`` stores probabilities in 16 bits.
    np.testing.assert_allclose(answer["diagnosis_probability"], types, atol=5e-4)


@pytest.fixture(scope="module")
def tensorflow(exported):
    return Loaded(exported.folder)


@pytest.fixture(scope="module")
def openvino(exported):
    require_openvino()
    return OpenVino(exported.folder)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_tensorflow(exported, tensorflow, shape):
    hu, spacing = draw_slices(*shape), np.full((shape[0], 2), 0.8, np.float32)
    check(tensorflow(hu, spacing), exported.cascade, hu, spacing)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_openvino(exported, openvino, shape):
    hu, spacing = draw_slices(*shape), np.full((shape[0], 2), 0.8, np.float32)
    answer = openvino(hu, spacing)
    check(answer, exported.cascade, hu, spacing)
    by_tensorflow = call_model(exported.signature(), hu, spacing)
    assert set(answer) == set(by_tensorflow)
    for name, value in by_tensorflow.items():
        assert answer[name].dtype == value.dtype
        np.testing.assert_allclose(answer[name], value, atol=1e-5, rtol=1e-5)


def test_openvino_uses_the_spacing(exported, openvino):
    hu = draw_slices(2, 64, 64)
    areas = [openvino(hu, np.full((2, 2), mm, np.float32))["liver_area_mm2"] for mm in (1.0, 2.0)]
    assert areas[0].all()
    np.testing.assert_allclose(areas[1], 4 * areas[0])


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "client"),
    [("tensorflow", Loaded), ("openvino", OpenVino)],
)
def test_found_as_uint8_gives_equal_answers(request, exported_for_openvino, name, client):
    """OpenVINO Model Server cannot send bool, so no output may be bool."""
    of_bool = request.getfixturevalue(name)
    folder, hu = exported_for_openvino.folder, draw_slices(3, 64, 64)
    # No liver in the last slice.
    hu[2] = np.where(np.arange(64) < 32, -1000.0, -850.0)
    spacing = np.full((3, 2), 0.8, np.float32)
    answer, as_bool = client(folder)(hu, spacing), of_bool(hu, spacing)
    assert answer.keys() == as_bool.keys()
    for name, value in as_bool.items():
        assert answer[name].dtype == value.dtype
        np.testing.assert_array_equal(answer[name], value)
    for serve in exported_for_openvino.loaded.signatures.values():
        outputs = serve.structured_outputs
        assert tf.bool not in {value.dtype for value in outputs.values()}
        if "found_lesion" in outputs:
            assert outputs["found_lesion"].dtype == outputs["found_liver"].dtype == tf.uint8
    meaning = json.loads((folder / "assets.extra" / "model.json").read_text())
    assert meaning["found_outputs"] == "uint8"


def test_openvino_ignores_the_checks_of_the_graph(openvino):
    """As documented; if it runs them one day, update the documentation."""
    raw = np.full((1, 64, 64), 3000.0, np.float32)
    spacing = np.ones((1, 2), np.float32)
    with pytest.raises(Refusal, match=r"\[hu-unscaled\]"):
        openvino(raw, spacing)
    answer = openvino._model({"hu": raw, "spacing_mm": spacing})
    assert answer["label_map"].shape == raw.shape


@pytest.mark.long
@pytest.mark.parametrize("shape", [FIRST, *OTHERS[:2]], ids=str)
def test_saved_model_cli(exported, tmp_path, shape):
    hu, spacing = draw_slices(*shape), np.full((shape[0], 2), 0.8, np.float32)
    np.save(tmp_path / "hu.npy", hu)
    np.save(tmp_path / "spacing.npy", spacing)
    command = [
        sys.executable,
        str(Path(sys.executable).with_name("saved_model_cli")),
        *("run", "--dir", exported.folder, "--tag_set", "serve"),
        *("--signature_def", "serving_default", "--outdir", tmp_path / "out"),
        *("--inputs", f"hu={tmp_path / 'hu.npy'};spacing_mm={tmp_path / 'spacing.npy'}"),
    ]
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run(list(map(str, command)), check=True, capture_output=True, env=quiet)
    answer = {path.stem: np.load(path) for path in (tmp_path / "out").glob("*.npy")}
    check(answer, exported.cascade, hu, spacing)


def in_32_bits(cascade, hu, spacing_mm):
    """As ``trainers.predict``, but without rounding to half precision.

    Probabilities float32 [slices, rows, columns, classes], 0 outside the window of the ROI, and
    their means over the lesion pixels.
    """
    maps = np.zeros((*hu.shape, len(cascade.label_set)), np.float32)
    types = np.zeros((len(hu), len(cascade.label_set.lesions)))
    for index, (slice_hu, spacing) in enumerate(zip(hu, spacing_mm, strict=True)):
        prediction = cascade.predict(slice_hu[None], tuple(spacing))
        box = prediction.boxes[0]
        if box is None:
            continue
        squares = tf.constant([[box.row, box.column, box.side]])
        origin, window = windows_of(squares, tf.constant(slice_hu.shape))
        (probabilities,) = cascade.lesion_network.probabilities(
            tf.constant(slice_hu[None]), squares, origin, window
        )
        (row, column), (rows, columns) = origin.numpy()[0], window.numpy()
        maps[index, row : row + rows, column : column + columns] = probabilities
        of_lesion = maps[index][prediction.labels[0] > 1][:, 2:].astype(np.float64).sum(axis=0)
        types[index] = of_lesion / (of_lesion.sum() or 1)
    return maps, types


@pytest.mark.parametrize("shape", SHAPES[:3], ids=str)
@pytest.mark.parametrize("name", ["tensorflow", "openvino"])
def test_type_probabilities_agree_to_1e_5(request, exported, name, shape):
    client = request.getfixturevalue(name)
    hu, spacing = draw_slices(*shape), np.full((shape[0], 2), 0.8, np.float32)
    _, types = in_32_bits(exported.cascade, hu, spacing)
    answer = client(hu, spacing)
    assert answer["found_lesion"].any()
    np.testing.assert_allclose(answer["diagnosis_probability"], types, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES[:3], ids=str)
def test_probabilities_agree_to_1e_5_apart_from_rounding(exported, shape):
    hu, spacing = draw_slices(*shape), np.full((shape[0], 2), 0.8, np.float32)
    maps, _ = in_32_bits(exported.cascade, hu, spacing)
    served = call_model(exported.signature("probabilities"), hu, spacing)["probabilities"]
    assert served.dtype == np.float16
    # Slices of a batch share the size of their windows, which may exceed that of a single slice.
    inside = maps.any(axis=-1)
    rounding = np.spacing(np.maximum(served, np.float16(2**-14))).astype(np.float64) / 2
    difference = np.abs(served.astype(np.float64) - maps)
    assert inside.any()
    assert (difference <= 1e-5 + rounding)[inside].all()
    assert not served[~inside.any(axis=(1, 2))].any()


def test_probabilities_agree_with_the_networks(exported):
    hu, spacing = draw_slices(3, 337, 211), np.full((3, 2), 0.8, np.float32)
    maps = call_model(exported.signature("probabilities"), hu, spacing)["probabilities"]
    assert maps.dtype == np.float16
    assert maps.shape == (*hu.shape, 5)
    expected = exported.cascade.undecided(tf.constant(hu), tf.constant(spacing))
    for slice_maps, (row, column), window in zip(
        maps, expected["origin"].numpy(), expected["probabilities"].numpy(), strict=True
    ):
        rows, columns = window.shape[:2]
        inside = slice_maps[row : row + rows, column : column + columns]
        np.testing.assert_allclose(inside, window, atol=5e-4)  # 16 bits
        assert not slice_maps[:row].any()
        assert not slice_maps[row + rows :].any()
        assert not slice_maps[:, :column].any()
        assert not slice_maps[:, column + columns :].any()

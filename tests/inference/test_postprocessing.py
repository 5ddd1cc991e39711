"""Threshold, holes and least size by hand; the graph for slices against that for volumes."""

import json

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from liver_tf.inference import postprocessing
from liver_tf.inference.postprocessing import (
    NOTHING,
    PostProcessing,
    decide,
    least_pixels,
    of_ensemble,
    without_small,
    without_small_2d,
)
from liver_tf.refusals import Refusal


def decided(probabilities, how, inside=None):
    inside = None if inside is None else tf.constant(inside)
    return decide(tf.constant(probabilities, tf.float32), inside, how).numpy()


def test_thresholds_by_hand():
    # background, liver, cyst, hemangioma
    row = [[0.0, 0.4, 0.35, 0.25], [0.5, 0.2, 0.3, 0.0], [0.1, 0.1, 0.0, 0.8], [0.0] * 4]
    probabilities = [[row]]
    assert decided(probabilities, NOTHING).tolist() == [[[1, 0, 3, 0]]]
    how = PostProcessing(lesion_probability=0.6)
    assert decided(probabilities, how).tolist() == [[[2, 0, 3, 0]]]
    how = PostProcessing(lesion_probability=0.3)
    assert decided(probabilities, how).tolist() == [[[2, 2, 3, 0]]]
    how = PostProcessing(lesion_probability=0.9)
    # What is not lesion is liver or background, whichever is likelier.
    assert decided(probabilities, how).tolist() == [[[1, 0, 0, 0]]]
    inside = [[[False, True, True, True]]]
    assert decided(probabilities, NOTHING, inside).tolist() == [[[0, 0, 3, 0]]]


def test_holes_take_the_type_that_is_likeliest_there():
    probabilities = np.zeros((1, 5, 6, 4), np.float32)
    probabilities[..., 1] = 1.0
    probabilities[0, 1:4, 1:4] = [0.0, 0.1, 0.9, 0.0]  # a ring of cyst
    probabilities[0, 2, 2] = [0.0, 0.8, 0.05, 0.15]
    assert decided(probabilities, NOTHING)[0, 2, 2] == 1
    labels = decided(probabilities, PostProcessing(fill_holes=True))
    expected = np.ones((5, 6), int)
    expected[1:4, 1:4] = 2
    expected[2, 2] = 3
    np.testing.assert_array_equal(labels[0], expected)
    probabilities[0, 1, 2] = [0.0, 1.0, 0.0, 0.0]  # open to the outside
    assert decided(probabilities, PostProcessing(fill_holes=True))[0, 2, 2] == 1


def test_least_pixels_by_hand():
    how = PostProcessing(least_area_mm2=10.0)
    spacing = [[1.0, 1.0], [0.5, 0.5], [0.8, 0.7], [0.0, 0.0], [np.nan, np.nan], [1.0, 0.3]]
    # 10; 40; 10 / 0.56 = 17.9; 10 / 0.75^2 = 17.8; 10 / 0.3 = 33.3.
    assert least_pixels(tf.constant(spacing), how).numpy().tolist() == [10, 40, 18, 18, 18, 34]


def test_small_lesions_become_what_lies_under_them():
    labels = np.ones((2, 5, 9), np.uint8)
    labels[:, :, 7:] = 0
    liver = labels == 1
    labels[0, 1, 1:3] = 2  # 2 pixels, but touching
    labels[1, 1:3, 2:5] = 3  # 6 in the next slice: kept together
    labels[0, 4, 5:9] = 4  # 4 pixels, half of them outside of the liver
    labels[1, 4, 8] = 2
    kept = without_small(labels, liver, 5)
    expected = liver.astype(np.uint8)
    expected[0, 1, 1:3] = 2
    expected[1, 1:3, 2:5] = 3
    np.testing.assert_array_equal(labels, expected)
    assert kept.tolist() == [True] * 2 + [False] * 4 + [True] * 6 + [False]
    assert not without_small(labels, liver, 7).any()
    np.testing.assert_array_equal(labels, liver)


@pytest.mark.parametrize("seed", range(5))
def test_the_graph_for_slices_drops_what_the_volumes_way_drops(seed):
    generator = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(generator.normal(size=(4, 30, 33)), (0, 1, 1))
    labels = np.where(smooth > 0.2, generator.integers(2, 5, smooth.shape), 1).astype(np.uint8)
    liver = generator.random(labels.shape) < 0.5
    least = np.array([1, 5, 20, 60], np.int32)
    found = without_small_2d(tf.constant(labels, tf.int32), tf.constant(liver), least).numpy()
    for index in range(len(labels)):
        alone = labels[index : index + 1].copy()
        without_small(alone, liver[index : index + 1], least[index])
        np.testing.assert_array_equal(found[index], alone[0])
    assert (found > 1).sum() < (labels > 1).sum()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"lesion_probability": 0.0}, "lesion_probability: expected above 0 and below 1, got 0"),
        ({"lesion_probability": float("nan")}, "lesion_probability: expected above 0"),
        ({"least_area_mm2": -1.0}, "least_area_mm2: expected 0 or more, got -1"),
        ({"least_area_mm2": float("inf")}, "least_area_mm2: expected 0 or more, got inf"),
    ],
)
def test_settings_that_mean_nothing_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        PostProcessing(**values)


def test_an_ensemble_takes_what_most_chose_and_of_equals_the_simpler():
    one, other = PostProcessing(0.5, True, 10.0), PostProcessing(least_area_mm2=25.0)
    assert of_ensemble([one]) == one
    assert of_ensemble([one, other, one]) == one
    assert of_ensemble([one, other]) == other
    # Neither the order of the runs nor equally many steps leave anything open.
    small, large = PostProcessing(least_area_mm2=50.0), PostProcessing(least_area_mm2=100.0)
    assert of_ensemble([small, large]) == of_ensemble([large, small]) == small
    assert of_ensemble([one, other, NOTHING]) == NOTHING


@pytest.fixture
def run(tmp_path, make_network):
    from liver_tf.model.weights_file import save_weights

    save_weights(tmp_path / "run" / "weights.npz", make_network("lesion").keras_model)
    return tmp_path / "run"


def test_settings_stay_with_the_run_and_its_weights(run, make_network):
    from liver_tf.model.weights_file import save_weights

    assert postprocessing.load(run) == NOTHING
    how = PostProcessing(0.4, True, 25.0)
    postprocessing.save(run, how, {"table": []})
    assert postprocessing.load(run) == how
    save_weights(run / "weights.npz", make_network("lesion", seed=2).keras_model)
    with pytest.raises(Refusal, match=r"\[postprocessing-other-weights\].*Choose them again"):
        postprocessing.load(run)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"postprocessing": {"least_area_mm2": -1}, "weights": "x"}']
)
def test_damaged_settings_are_refused(run, text):
    (run / "postprocessing.json").write_text(text)
    with pytest.raises(Refusal, match=r"\[postprocessing-damaged\]"):
        postprocessing.load(run)


def test_what_is_stored_can_be_read_by_people(run):
    how = PostProcessing(0.4, True, 25.0)
    postprocessing.save(run, how, {"measure": "dice2"})
    value = json.loads((run / "postprocessing.json").read_text())
    assert value["postprocessing"] == {
        "lesion_probability": 0.4,
        "fill_holes": True,
        "least_area_mm2": 25.0,
    }
    assert value["measure"] == "dice2"
    assert NOTHING.text() == "none"
    assert how.text() == (
        "lesion where its probability is 0.4 or more, holes filled, lesions below 25 mm2 dropped"
    )

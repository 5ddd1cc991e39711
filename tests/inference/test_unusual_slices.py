"""Unusual sizes and values of slices: a clear error or a correct answer, never a crash."""

import numpy as np
import pytest
import tensorflow as tf

from liver_tf.inference.cascade import Cascade
from liver_tf.inference.lesion_properties import diagnosis, find_lesions
from liver_tf.inference.liver_finder import LiverFinder
from liver_tf.inference.postprocessing import PostProcessing
from liver_tf.inference.roi_box import paste, windows_of
from liver_tf.labels import LESION_TYPES
from tests.builders import tiny_records
from tests.builders.label_maps import label_maps

ALL = PostProcessing(lesion_probability=0.4, fill_holes=True, least_area_mm2=20.0)


@pytest.fixture(scope="module")
def cascade(intensity_cascade):
    """One for all cases, because tracing takes time."""
    return intensity_cascade()


@pytest.mark.parametrize(
    ("hu", "message"),
    [
        (np.zeros((8, 8), np.int16), r"hu: expected \[slices, rows, columns\], found 2 axes"),
        (np.zeros((1, 8, 8, 1), np.int16), "found 4 axes"),
        (np.zeros((0, 8, 8), np.int16), "at least one slice of at least one pixel"),
        (np.zeros((1, 0, 8), np.float32), "at least one slice of at least one pixel"),
        (np.full((1, 8, 8), np.nan, np.float32), "finite Hounsfield units"),
        (np.full((2, 8, 8), np.inf, np.float64), "finite Hounsfield units"),
        (np.zeros((1, 8, 8), complex), "hu: expected numbers"),
        (np.full((1, 8, 8), "a"), "hu: expected numbers"),
    ],
)
def test_arrays_that_are_not_a_scan_are_refused(cascade, hu, message):
    with pytest.raises(ValueError, match=message):
        cascade.predict(hu, None)
    with pytest.raises(ValueError, match=message):
        cascade.liver.find(hu)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 1), (1, 2, 2), (1, 1, 300), (2, 700, 3)])
@pytest.mark.parametrize("value", [-1024, 10, 3071, 32767, -32768])
def test_tiny_and_narrow_slices_and_any_hu(cascade, shape, value):
    for dtype in (np.int16, np.float32, np.int32):
        hu = np.full(shape, value, dtype)
        prediction = cascade.predict(hu, (0.8, 0.8))
        assert prediction.labels.shape == shape
        assert [box is not None for box in prediction.boxes] == [
            bool(liver.any()) for liver in prediction.liver
        ]
        if shape[1] == shape[2]:
            # Above 75 HU is liver here, above 140 HU hemangioma. (A strip narrower than a pixel
            # of the network's grid is mixed with the air around it.)
            assert prediction.liver.all() == (value > 75)
            expected = LESION_TYPES.index("hemangioma") if value > 75 else 0
            assert (prediction.labels == expected).all()
        else:
            assert prediction.labels.max() < len(LESION_TYPES)


@pytest.mark.long
def test_a_slice_of_4096_pixels(cascade):
    hu = np.full((1, 4096, 4096), -1000, np.int16)
    hu[0, 1000:2600, 500:2500] = 110
    hu[0, 1500:2000, 1000:1600] = 10
    prediction = cascade.predict(hu, (0.1, 0.1))
    by_graph = label_maps(cascade, hu, np.full((1, 2), 0.1))
    np.testing.assert_array_equal(by_graph, prediction.labels)
    assert prediction.labels[0, 1750, 1300] == LESION_TYPES.index("cyst")
    assert prediction.labels[0, 1200, 800] == 1
    assert not prediction.labels[0, :800].any()


@pytest.mark.parametrize("how", [PostProcessing(), ALL], ids=["plain", "post-processed"])
@pytest.mark.parametrize("extent", ["slice", "volume"])
def test_without_liver_there_is_no_box_and_no_lesion(intensity_cascade, how, extent):
    cascade = intensity_cascade(how=how, extent=extent)
    hu = np.full((3, 40, 40), -100, np.int16)
    prediction = cascade.predict(hu, (1.0, 1.0))
    assert prediction.boxes == (None,) * 3
    assert not prediction.labels.any()
    assert prediction.probabilities.shape == (0, 1, 3)
    assert diagnosis(prediction.labels, LESION_TYPES) == "healthy"
    assert (
        find_lesions(
            prediction.labels, hu, None, LESION_TYPES, probabilities=prediction.probabilities
        )
        == []
    )
    assert not label_maps(cascade, hu, np.ones((3, 2))).any()


def test_slices_with_and_without_liver_in_one_batch(cascade):
    hu = np.full((3, 40, 40), -100, np.int16)
    hu[1, 10:30, 10:30] = 110
    hu[1, 15:20, 15:20] = 10
    labels = label_maps(cascade, hu, np.ones((3, 2)))
    assert not labels[[0, 2]].any()
    assert labels[1, 17, 17] == LESION_TYPES.index("cyst")


@pytest.mark.long
@pytest.mark.parametrize(
    "how",
    [PostProcessing(), ALL],
    ids=["plain", "post-processed"],
)
def test_predict_on_one_slice_equals_the_graph_with_post_processing(make_network, how):
    """Untrained networks: lesions of all sizes and holes."""
    cascade = Cascade(LiverFinder(make_network("liver")), make_network("lesion"), how=how)
    generator = np.random.default_rng(0)
    hu = np.stack([tiny_records.draw_slice(generator, 64, 80, kind)[0] for kind in (2, 3, 4, 0)])
    by_graph = label_maps(cascade, hu, np.full((4, 2), 0.9, np.float32))
    for index in range(len(hu)):
        alone = cascade.predict(hu[index : index + 1], (0.9, 0.9))
        np.testing.assert_array_equal(by_graph[index], alone.labels[0])
        assert len(alone.probabilities) == (alone.labels > 1).sum()
    assert len(np.unique(by_graph)) > 2


def test_probabilities_belong_to_the_lesion_voxels_in_c_order(make_network):
    cascade = Cascade(LiverFinder(make_network("liver")), make_network("lesion"), how=ALL)
    generator = np.random.default_rng(1)
    hu = np.stack([tiny_records.draw_slice(generator, 64, 64, 2)[0] for _ in range(11)])
    prediction = cascade.predict(hu, (0.9, 0.9))
    lesion = prediction.labels > 1
    assert len(prediction.probabilities) == lesion.sum() > 0
    # The label of a voxel is its most likely type (float16 may tie where float32 did not).
    chosen = np.take_along_axis(
        prediction.probabilities[:, 0], prediction.labels[lesion][:, None].astype(int) - 2, axis=1
    )
    assert (chosen[:, 0] >= prediction.probabilities[:, 0].max(axis=1) - 1e-3).all()
    assert len(np.unique(prediction.labels[lesion])) > 1


def test_windows_contain_their_boxes_and_are_pasted_back():
    boxes = tf.constant([[2, 3, 4], [-3, 6, 8], [4, -2, 5], [-5, -5, 30]])
    for chosen in ([0], [0, 1, 2], [0, 1, 2, 3]):
        selected = tf.gather(boxes, chosen)
        origin, window = windows_of(selected, tf.constant([7, 10]))
        for (row, column, side), (top, left) in zip(selected.numpy(), origin.numpy(), strict=True):
            height, width = window.numpy()
            assert 0 <= top <= max(row, 0)
            assert 0 <= left <= max(column, 0)
            assert min(row + side, 7) <= top + height <= 7
            assert min(column + side, 10) <= left + width <= 10
    parts = tf.constant([[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [10, 11, 12]]], tf.uint8)
    whole = paste(parts, tf.constant([[0, 1], [2, 0]]), tf.constant([4, 5])).numpy()
    expected = np.zeros((2, 4, 5), np.uint8)
    expected[0, 0:2, 1:4] = [[1, 2, 3], [4, 5, 6]]
    expected[1, 2:4, 0:3] = [[7, 8, 9], [10, 11, 12]]
    np.testing.assert_array_equal(whole, expected)

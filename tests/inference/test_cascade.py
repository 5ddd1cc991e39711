"""The cascade with networks whose answer is known, and with untrained ones."""

import itertools

import numpy as np
import pytest
from scipy import ndimage

from liver_tf.inference.cascade import Cascade
from liver_tf.inference.liver_finder import LiverFinder
from liver_tf.inference.postprocessing import PostProcessing
from liver_tf.labels import LESION_TYPES
from tests.builders import tiny_records
from tests.builders.label_maps import label_maps


def draw_scan(rows, columns, lesions=(2, 3, 4, 0)):
    """HU int16 and true labels uint8, [slices, rows, columns]."""
    generator = np.random.default_rng(0)
    drawn = [tiny_records.draw_slice(generator, rows, columns, lesion) for lesion in lesions]
    return tuple(np.stack(part) for part in zip(*drawn, strict=True))


def dice(mask, other):
    return 2 * (mask & other).sum() / (mask.sum() + other.sum())


@pytest.mark.parametrize("size", [(64, 64), (48, 80)])
def test_liver_and_typed_lesions_are_found(intensity_cascade, size):
    hu, truth = draw_scan(*size)
    prediction = intensity_cascade().predict(hu, (0.8, 0.8))
    assert prediction.labels.shape == hu.shape
    assert prediction.labels.dtype == np.uint8
    assert prediction.liver.dtype == bool
    assert dice(prediction.liver, truth > 0) > 0.9
    for index, lesion in enumerate((2, 3, 4)):
        # At the rim of the liver HU mix with the surroundings and pass through other classes.
        labels = prediction.labels[index] * (truth[index] > 0)
        assert np.bincount(labels[labels > 1]).argmax() == lesion
        assert dice(labels == lesion, truth[index] == lesion) > 0.6
    assert all(box is not None for box in prediction.boxes)
    for index, box in enumerate(prediction.boxes):
        rows, columns = np.nonzero(prediction.liver[index])
        assert box.row <= rows.min()
        assert rows.max() < box.row + box.side
        assert box.column <= columns.min()
        assert columns.max() < box.column + box.side


def test_predict_on_one_slice_equals_the_graph_of_slices(intensity_cascade, make_network):
    spacing = np.full((4, 2), 0.8, np.float32)
    real = Cascade(LiverFinder(make_network("liver")), make_network("lesion"))
    for cascade, size in itertools.product((intensity_cascade(), real), ((64, 64), (48, 80))):
        hu, _ = draw_scan(*size)
        by_graph = label_maps(cascade, hu, spacing)
        assert by_graph.dtype == np.uint8
        for index in range(len(hu)):
            alone = cascade.predict(hu[index : index + 1], (0.8, 0.8)).labels[0]
            np.testing.assert_array_equal(by_graph[index], alone)
        assert len(np.unique(by_graph)) > 2


def test_batches_do_not_change_a_slice(intensity_cascade):
    hu, _ = draw_scan(32, 32, (2, 3, 4, 0) * 5)
    spacing = np.full((len(hu), 2), 0.8, np.float32)
    cascade = intensity_cascade()
    together = label_maps(cascade, hu, spacing)
    alone = [label_maps(cascade, hu[i : i + 1], spacing[i : i + 1])[0] for i in range(len(hu))]
    np.testing.assert_array_equal(together, np.stack(alone))


def test_only_the_largest_component_of_a_volume_is_liver(intensity_cascade):
    hu = np.full((3, 32, 32), -100, np.int16)
    hu[0:2, 8:20, 8:20] = 110
    hu[1, 26:30, 26:30] = 110
    hu[2, 2:6, 2:6] = 110
    prediction = intensity_cascade().predict(hu, (1.0, 1.0))
    expected = np.zeros(hu.shape, bool)
    expected[0:2, 8:20, 8:20] = True
    np.testing.assert_array_equal(prediction.liver, expected)
    assert prediction.boxes[2] is None
    assert not prediction.labels[2].any()


def test_a_hole_in_the_liver_is_part_of_it(intensity_cascade):
    hu = np.full((1, 32, 32), -100, np.int16)
    hu[0, 8:24, 8:24] = 110
    hu[0, 13:18, 13:18] = 10
    prediction = intensity_cascade().predict(hu, (1.0, 1.0))
    assert prediction.liver[0, 8:24, 8:24].all()
    assert prediction.labels[0, 15, 15] == LESION_TYPES.index("cyst")
    assert prediction.labels[0, 10, 10] == 1


def test_lesions_outside_the_liver_are_removed_only_with_in_liver_only(intensity_cascade):
    hu = np.full((1, 32, 32), -100, np.int16)
    hu[0, 8:24, 8:20] = 110
    hu[0, 12:18, 22:29] = 10  # two pixels away from the liver
    spacing = np.ones((1, 2), np.float32)
    kept = {}
    for inside in (True, False):
        cascade = intensity_cascade(margin_mm=8.0, in_liver_only=inside)
        labels = cascade.predict(hu, (1.0, 1.0)).labels
        np.testing.assert_array_equal(label_maps(cascade, hu, spacing), labels)
        kept[inside] = labels[0] > 1
    assert kept[False][13:17, 24:28].all()
    assert not kept[True][:, 22:].any()


def test_the_outlined_liver_is_labelled_without_gaps(intensity_cascade):
    hu = np.full((1, 32, 32), -100, np.int16)
    hu[0, 8:24, 8:20] = 110
    hu[0, 14:18, 12:16] = -60  # fat: background for the lesion network, a hole that is filled
    spacing = np.ones((1, 2), np.float32)
    usual = intensity_cascade(margin_mm=8.0).predict(hu, (1.0, 1.0))
    cascade = intensity_cascade(margin_mm=8.0, how=PostProcessing(whole_liver=True))
    prediction = cascade.predict(hu, (1.0, 1.0))
    assert ((usual.labels == 0) & usual.liver).sum() == 16
    np.testing.assert_array_equal(prediction.labels > 0, prediction.liver)
    np.testing.assert_array_equal(label_maps(cascade, hu, spacing), prediction.labels)


@pytest.mark.parametrize("rim", [-1, 0, 1])
def test_lesions_end_one_pixel_of_the_network_inside_at_or_beyond_the_outlined_liver(
    intensity_cascade, rim
):
    hu = np.full((1, 32, 32), -100, np.int16)
    hu[0, 8:24, 8:20] = 110
    hu[0, 12:18, 20:29] = 10  # a lesion beside the liver
    hu[0, 20:22, 8:20] = 170  # and one in it, up to its edge
    cascade = intensity_cascade(margin_mm=8.0, how=PostProcessing(rim_pixels=rim))
    prediction = cascade.predict(hu, (1.0, 1.0))
    spacing = np.ones((1, 2), np.float32)
    np.testing.assert_array_equal(label_maps(cascade, hu, spacing), prediction.labels)
    lesion, liver = prediction.labels > 1, prediction.liver
    assert (lesion & ~liver).any() == (rim == 1)
    edge = liver & ~ndimage.binary_erosion(liver, np.ones((1, 3, 3)))
    assert (lesion & edge).any() == (rim >= 0)
    assert lesion.any()
    assert (prediction.labels[liver] > 0).all(), "the edge of the liver stays liver"


def test_a_scan_without_liver_is_empty_not_an_error(make_network):
    never = LiverFinder(make_network("liver", favoured=[1e4, -1e4]))
    cascade = Cascade(never, make_network("lesion", favoured=[-1e4, 0, 1e4, 0, 0]))
    hu, _ = draw_scan(48, 40)
    for spacing_mm in ((0.8, 0.8), None):
        prediction = cascade.predict(hu, spacing_mm)
        assert not prediction.labels.any()
        assert not prediction.liver.any()
        assert prediction.boxes == (None,) * 4
    assert not label_maps(cascade, hu, np.zeros((4, 2), np.float32)).any()


def test_liver_everywhere_is_one_box_and_lesions_fill_it(make_network):
    always = LiverFinder(make_network("liver", favoured=[-1e4, 1e4]))
    cascade = Cascade(always, make_network("lesion", favoured=[-1e4, 0, 0, 1e4, 0]))
    prediction = cascade.predict(np.zeros((2, 40, 40), np.int16), (1.0, 1.0))
    assert (prediction.labels == 3).all()
    # 40 pixels and twice 5 mm.
    assert [(box.row, box.column, box.side) for box in prediction.boxes] == [(-5, -5, 50)] * 2


def test_with_extent_volume_all_slices_share_a_box(intensity_cascade):
    hu = np.full((3, 32, 32), -100, np.int16)
    hu[0, 8:20, 8:20] = hu[1, 12:24, 8:20] = 110
    boxes = intensity_cascade(extent="volume", margin_mm=0.0).predict(hu, (1.0, 1.0)).boxes
    assert [(box.row, box.column, box.side) for box in boxes] == [(8, 6, 16)] * 3


def test_hu_outside_the_window_are_clipped(intensity_cascade):
    hu, _ = draw_scan(32, 32)
    wide = hu.astype(np.float32)
    wide[hu == -160] = -1000
    wide[hu == 240] = 3000
    cascade = intensity_cascade()
    np.testing.assert_array_equal(
        cascade.predict(hu, None).labels, cascade.predict(wide, None).labels
    )


def test_networks_of_the_wrong_kind_are_refused(make_network):
    with pytest.raises(ValueError, match="expected a liver network, found a lesion network"):
        LiverFinder(make_network("lesion"))
    with pytest.raises(ValueError, match="expected a lesion network, found a liver network"):
        Cascade(LiverFinder(make_network("liver")), make_network("liver"))

"""Boxes around the liver, worked by hand."""

import numpy as np
import pytest
import tensorflow as tf

from liver_tf.inference.roi_box import boxes_of_scan, crop, square_boxes
from liver_tf.inference.roi_rule import RoiRule
from liver_tf.records.record_schema import Box


def make_liver(*parts, slices=1):
    """bool [slices, 100, 120] with rectangles (slice, rows, columns)."""
    liver = np.zeros((slices, 100, 120), bool)
    for index, rows, columns in parts:
        liver[index, slice(*rows), slice(*columns)] = True
    return liver


@pytest.mark.parametrize(
    ("spacing_mm", "rule", "box"),
    [
        # 20 x 30 pixels of 1 mm with 5 mm on each side: 40. Rows 30-50 centred: 30 + (20-40)/2.
        ((1.0, 1.0), RoiRule(5.0, 1.0), Box(20, 35, 40)),
        # Pixels of 0.5 mm: 5 mm are 10 pixels; 30 + 20 = 50.
        ((0.5, 0.5), RoiRule(5.0, 1.0), Box(15, 30, 50)),
        # The minimum side of 60 mm applies.
        ((1.0, 1.0), RoiRule(5.0, 60.0), Box(10, 25, 60)),
        # Unequal spacing: their mean, 0.75 mm; 30 + 2 x 5 / 0.75 = 43.3, so 44.
        ((0.5, 1.0), RoiRule(5.0, 1.0), Box(18, 33, 44)),
        # Unknown spacing is taken as 0.75 mm.
        (None, RoiRule(5.0, 1.0), Box(18, 33, 44)),
        # Sides of different parity: the box begins half a pixel earlier.
        ((1.0, 1.0), RoiRule(0.5, 1.0), Box(24, 39, 31)),
        # Far beyond the border.
        ((1.0, 1.0), RoiRule(100.0, 1.0), Box(-75, -60, 230)),
    ],
)
def test_boxes_worked_by_hand(spacing_mm, rule, box):
    liver = make_liver((0, (30, 50), (40, 70)))
    assert boxes_of_scan(liver, spacing_mm, rule) == [box]


def test_a_slice_without_liver_has_no_box_unless_the_box_is_that_of_the_scan():
    liver = make_liver((0, (30, 40), (40, 50)), (2, (60, 70), (80, 90)), slices=3)
    per_slice = boxes_of_scan(liver, (1.0, 1.0), RoiRule(5.0, 1.0))
    assert per_slice == [Box(25, 35, 20), None, Box(55, 75, 20)]
    # Rows 30-70, columns 40-90: 50 + 10.
    of_scan = boxes_of_scan(liver, (1.0, 1.0), RoiRule(5.0, 1.0, "volume"))
    assert of_scan == [Box(20, 35, 60)] * 3
    empty = np.zeros((2, 10, 10), bool)
    for extent in ("slice", "volume"):
        assert boxes_of_scan(empty, (1.0, 1.0), RoiRule(extent=extent)) == [None, None]


def test_unknown_spacing_in_a_batch_is_nan_or_zero():
    liver = np.repeat(make_liver((0, (30, 50), (40, 70))), 4, axis=0)
    spacing = tf.constant([[0.75, 0.75], [np.nan, np.nan], [0.0, 0.0], [1.0, 1.0]])
    boxes, has_liver = square_boxes(tf.constant(liver), spacing, RoiRule(5.0, 1.0))
    assert boxes.numpy().tolist() == [[18, 33, 44]] * 3 + [[20, 35, 40]]
    assert has_liver.numpy().all()


def test_single_pixel_and_full_slice():
    liver = np.zeros((2, 10, 10), bool)
    liver[0, 0, 9] = True
    liver[1] = True
    boxes = boxes_of_scan(liver, (1.0, 1.0), RoiRule(0.0, 1.0))
    assert boxes == [Box(0, 9, 1), Box(0, 0, 10)]


@pytest.mark.parametrize(
    "box",
    [Box(2, 3, 4), Box(-2, -1, 5), Box(6, 7, 6), Box(-3, -3, 20), Box(50, 0, 3), Box(0, -9, 4)],
)
@pytest.mark.parametrize("outside", [-160, 0])
def test_a_crop_beyond_the_border_is_filled(box, outside):
    pixels = np.arange(1, 8 * 9 + 1, dtype=np.int16).reshape(8, 9)
    padded = np.pad(pixels, 60, constant_values=outside)
    row, column = box.row + 60, box.column + 60
    expected = padded[row : row + box.side, column : column + box.side]
    cut = crop(pixels, box, outside)
    assert cut.dtype == pixels.dtype
    np.testing.assert_array_equal(cut, expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1.0,), "margin_mm: expected at least 0, found -1"),
        ((float("nan"),), "margin_mm: expected a finite number, found nan"),
        ((0.0, 0.0), "least_side_mm: expected above 0, found 0"),
        ((0.0, float("inf")), "least_side_mm: expected a finite number, found inf"),
        ((0.0, 1.0, "scan"), "extent: expected one of slice, volume; found 'scan'"),
    ],
)
def test_impossible_rules_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        RoiRule(*arguments)

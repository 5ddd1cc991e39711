"""What is kept of predicted lesions: worked by hand on small maps."""

from __future__ import annotations

import numpy as np
import pytest

from liver_tf.anatomical.augment_settings import AugmentSettings, LabelRule
from liver_tf.anatomical.label_rule import (
    HEALTHY_LEFT_OUT,
    KEPT,
    NO_LESION,
    NO_OVERLAP,
    OTHER_LESION,
    make_labels,
)
from liver_tf.options import OptionError

CYST, HEMANGIOMA = 2, 3


def slice_of(*rows: str) -> np.ndarray:
    return np.array([[int(label) for label in row] for row in rows], np.uint8)


ANNOTATED = slice_of("11111111", "12211111", "12211111", "11111111")


def test_a_lesion_on_the_annotated_one_is_kept_with_its_type():
    predicted = slice_of("11111110", "13311111", "11111111", "11111133")
    labels, decision = make_labels(predicted, ANNOTATED, LabelRule())
    expected = slice_of("11111110", "12211111", "11111111", "11111111")
    assert np.array_equal(labels, expected)
    assert (decision.outcome, decision.used) == (KEPT, True)
    assert (decision.lesions, decision.removed, decision.retyped) == (1, 1, 1)
    assert predicted.max() == HEMANGIOMA  # the network's map is not changed


@pytest.mark.parametrize(("share", "used"), [(0.5, True), (0.51, False)])
def test_the_overlap_is_a_share_of_the_predicted_lesion(share, used):
    predicted = slice_of("11111111", "11222211", "11111111", "11111111")
    annotated = slice_of("11111111", "12221111", "11111111", "11111111")
    _, decision = make_labels(predicted, annotated, LabelRule(least_overlap=share))
    assert decision.outcome == (KEPT if used else NO_OVERLAP)


def test_pixels_that_touch_at_a_corner_are_one_lesion_of_any_predicted_type():
    predicted = slice_of("11111111", "12111111", "11311111", "11111111")
    labels, decision = make_labels(predicted, ANNOTATED, LabelRule())
    assert decision.lesions == 1
    assert labels[1, 1] == labels[2, 2] == CYST


def test_the_type_is_that_of_most_annotated_pixels_below():
    annotated = slice_of("11111111", "12331111", "11111111", "11111111")
    predicted = slice_of("11111111", "12221111", "11111111", "11111111")
    labels, decision = make_labels(predicted, annotated, LabelRule())
    assert labels[1, 1:4].tolist() == [HEMANGIOMA] * 3
    assert decision.retyped == 1


def test_reasons_not_to_use_a_neighbour():
    liver = np.ones((4, 8), np.uint8)
    elsewhere = slice_of("11111111", "11111111", "11111111", "11111222")
    both = slice_of("11111111", "12211111", "11111111", "11111222")
    strict = LabelRule(other_lesions="drop")
    assert make_labels(liver, ANNOTATED, LabelRule())[1].outcome == NO_LESION
    assert make_labels(elsewhere, ANNOTATED, LabelRule())[1].outcome == NO_OVERLAP
    assert make_labels(both, ANNOTATED, strict)[1].outcome == OTHER_LESION
    assert make_labels(elsewhere, liver, strict)[1].outcome == OTHER_LESION
    left_out = LabelRule(healthy_neighbours=False)
    assert make_labels(liver, liver, left_out)[1].outcome == HEALTHY_LEFT_OUT
    labels, decision = make_labels(elsewhere, liver, LabelRule())
    assert decision.outcome == KEPT
    assert labels.max() == 1


def test_the_output_must_not_be_an_input(tmp_path):
    with pytest.raises(OptionError, match="output"):
        AugmentSettings(run=tmp_path / "run", output=tmp_path, roi_records=tmp_path / "a" / "..")

"""Measures against numbers worked out by hand and against scikit-learn."""

import json

import numpy as np
import pytest
from sklearn.metrics import f1_score

from liver_tf.labels import LESION_TYPES, LITS
from liver_tf.measures.compare_with_truth import compare_with_truth
from liver_tf.measures.confusion_matrix import confusion_matrix
from liver_tf.measures.measure_registry import summarise
from liver_tf.measures.slice_result import PixelCounts, SliceResult

CYST, HEMANGIOMA, METASTASIS = 2, 3, 4


def measured(truth, predicted, label_set=LESION_TYPES, slice_index=0, **arguments):
    where = {"patient": "p", "case": "c", "slice_index": slice_index}
    truth, predicted = np.array(truth, np.uint8), np.array(predicted, np.uint8)
    return compare_with_truth(truth, predicted, label_set, **(where | arguments))


def row(*labels):
    return [list(labels)]


def test_one_slice_by_hand():
    result = measured(
        [[0, 1, 1, 1], [0, 2, 2, 2], [0, 1, 1, 4]],
        [[1, 1, 1, 0], [0, 3, 3, 2], [0, 2, 1, 1]],
    )
    # Lesion: true 4 pixels, predicted 4, three of them shared.
    assert result.lesion == PixelCounts(true=4, predicted=4, both=3)
    assert result.dice == pytest.approx(6 / 8)
    # Liver or lesion: 9 true, 9 predicted; the corner (0, 0) is wrong and (0, 3) missed.
    assert result.liver == PixelCounts(true=9, predicted=9, both=8)
    assert result.classes["cyst"] == PixelCounts(true=3, predicted=2, both=1)
    assert result.classes["hemangioma"] == PixelCounts(true=0, predicted=2, both=0)
    assert result.true_diagnosis == CYST
    assert result.overlap


def test_tie_goes_to_the_lower_label():
    result = measured(row(4, 4, 3, 3, 1), row(3, 2, 1, 1, 1))
    assert result.true_diagnosis == HEMANGIOMA
    assert result.predicted_diagnosis == CYST


@pytest.mark.parametrize(
    ("truth", "predicted", "dice", "has_lesion", "detected", "overlap"),
    [
        (row(1, 1, 0), row(1, 1, 0), None, False, False, False),  # healthy, left alone
        (row(1, 1, 0), row(1, 2, 0), 0.0, False, True, False),  # false alarm
        (row(1, 2, 0), row(1, 1, 0), 0.0, True, False, False),  # missed
        (row(1, 2, 1), row(2, 1, 1), 0.0, True, True, False),  # found elsewhere
        (row(1, 2, 0), row(1, 4, 0), 1.0, True, True, True),  # found, wrong type
        (row(0, 0, 0), row(0, 0, 0), None, False, False, False),  # nothing at all
    ],
)
def test_empty_cases(truth, predicted, dice, has_lesion, detected, overlap):
    result = measured(truth, predicted)
    assert result.dice == dice
    assert (result.has_lesion, result.detected, result.overlap) == (has_lesion, detected, overlap)


def test_a_given_diagnosis_overrides_the_majority():
    assert measured(row(2, 2, 4), row(1, 1, 1), true_diagnosis="metastasis").true_diagnosis == 4
    assert measured(row(2, 2, 4), row(1, 1, 1), true_diagnosis=4).true_diagnosis == 4
    assert measured(row(1, 1, 1), row(1, 1, 1), true_diagnosis="healthy").true_diagnosis is None


def test_a_lesion_without_outline_counts_as_missed():
    result = measured(row(1, 1, 1), row(1, 1, 1), true_diagnosis="cyst")
    assert result.has_lesion
    assert result.dice == 0.0
    summary = summarise([result])
    assert (summary["success"], summary["dice2"], summary["accuracy"]) == (0.0, 0.0, 0.0)


def test_summary_of_five_slices_by_hand():
    results = [
        measured(row(2, 2, 1, 1), row(2, 2, 1, 1), slice_index=0),  # Dice 1, right type
        measured(row(3, 3, 1, 1), row(1, 4, 4, 1), slice_index=1),  # Dice 2 / 4, wrong type
        measured(row(4, 1, 1, 1), row(1, 1, 1, 1), slice_index=2),  # missed
        measured(row(4, 1, 1, 1), row(1, 1, 4, 1), slice_index=3),  # elsewhere, right type
        measured(row(1, 1, 1, 1), row(1, 1, 1, 1), slice_index=4),  # healthy
        measured(row(1, 1, 0, 0), row(1, 2, 2, 0), slice_index=5),  # healthy, false alarm
    ]
    summary = summarise(results)
    assert summary["images"] == 6
    assert summary["lesion_images"] == 4
    assert summary["healthy_images"] == 2
    assert summary["patients"] == 1
    assert summary["success"] == pytest.approx(2 / 4)
    assert summary["dice1"] == pytest.approx((1 + 0.5) / 2)
    assert summary["dice2"] == pytest.approx((1 + 0.5 + 0 + 0) / 4)
    assert summary["accuracy"] == pytest.approx(2 / 4)
    assert summary["accuracy_detected"] == pytest.approx(2 / 3)
    assert summary["detected"] == pytest.approx(3 / 4)
    assert summary["healthy_false_positive_rate"] == pytest.approx(1 / 2)
    assert summary["dice_liver"] == pytest.approx((5 * 1.0 + 2 * 2 / 5) / 6)
    # Lesion pixels: true 2+2+1+1, predicted 2+2+0+1+0+2, shared 2+1.
    assert summary["pooled_dice_lesion"] == pytest.approx(2 * 3 / (6 + 7))
    assert summary["pooled_dice_class_cyst"] == pytest.approx(2 * 2 / (2 + 4))
    assert summary["pooled_dice_class_hemangioma"] == 0.0
    assert summary["pooled_dice_class_metastasis"] == 0.0


def test_measures_over_nothing_are_none_and_json_safe():
    healthy = summarise([measured(row(0, 0), row(0, 0))])
    for name in ("success", "dice1", "dice2", "accuracy", "accuracy_detected", "dice_liver"):
        assert healthy[name] is None
    assert healthy["pooled_dice_class_cyst"] is None
    assert healthy["healthy_false_positive_rate"] == 0.0
    missed = summarise([measured(row(2, 1), row(1, 1))])
    assert missed["dice1"] is None
    assert missed["dice2"] == 0.0
    assert missed["accuracy_detected"] is None
    assert missed["healthy_false_positive_rate"] is None
    assert summarise([])["dice2"] is None
    for summary in (healthy, missed, summarise([])):
        json.dumps(summary, allow_nan=False)


def test_dice_agrees_with_scikit_learn():
    rng = np.random.default_rng(3)
    for _ in range(200):
        # Some masks sparse, some empty.
        shares = rng.dirichlet([8, 8, 0.3, 0.3, 0.3])
        truth, predicted = (rng.choice(5, size=(9, 11), p=shares).astype(np.uint8) for _ in "ab")
        result = measured(truth, predicted)
        for counts, first in ((result.lesion, 2), (result.liver, 1)):
            expected = f1_score(
                (truth >= first).ravel(), (predicted >= first).ravel(), zero_division=np.nan
            )
            assert (counts.dice is None and np.isnan(expected)) or counts.dice == pytest.approx(
                expected, abs=1e-12
            )
        by_class = f1_score(
            truth.ravel(), predicted.ravel(), labels=range(5), average=None, zero_division=np.nan
        )
        for name, expected in zip(LESION_TYPES.classes, by_class, strict=True):
            dice = result.classes[name].dice
            assert (dice is None and np.isnan(expected)) or dice == pytest.approx(expected)


def test_json_round_trip():
    result = measured(row(2, 2, 1, 0), row(1, 3, 3, 0), slice_index=7)
    text = json.dumps(result.to_json(), allow_nan=False)
    assert SliceResult.from_json(json.loads(text)) == result
    assert json.loads(text)["dice"] == pytest.approx(0.5)
    assert json.loads(text)["overlap"] is True
    with pytest.raises(ValueError, match="without field 'lesion'"):
        SliceResult.from_json({k: v for k, v in result.to_json().items() if k != "lesion"})


@pytest.mark.parametrize(
    ("truth", "predicted", "arguments", "text"),
    [
        (np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8), {}, "on the same grid"),
        (np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.float32), {}, "not probabilities"),
        (np.zeros((1, 2, 2), np.uint8), np.zeros((1, 2, 2), np.uint8), {}, "one slice"),
        (np.zeros((2, 2), np.uint8), np.full((2, 2), 5, np.uint8), {}, "labels 0 to 4"),
        (
            np.full((2, 2), 2, np.uint8),
            np.zeros((2, 2), np.uint8),
            {"true_diagnosis": "healthy"},
            "'cyst'",
        ),
        (
            np.zeros((2, 2), np.uint8),
            np.zeros((2, 2), np.uint8),
            {"true_diagnosis": "liver"},
            "expected a diagnosis among cyst, hemangioma",
        ),
    ],
)
def test_invalid_input_is_refused(truth, predicted, arguments, text):
    where = {"patient": "p", "case": "c", "slice_index": 0}
    with pytest.raises(ValueError, match=text):
        compare_with_truth(truth, predicted, LESION_TYPES, **where, **arguments)


def test_refuses_a_mixture_of_label_sets():
    with pytest.raises(ValueError, match="one label set"):
        summarise([measured(row(1, 2), row(1, 2)), measured(row(1, 2), row(1, 2), LITS)])


def test_confusion_by_hand():
    results = [
        measured(row(2, 1), row(2, 1)),
        measured(row(2, 1), row(4, 1)),
        measured(row(3, 1), row(1, 1)),
        measured(row(1, 1), row(1, 1)),
        measured(row(1, 1), row(3, 1)),
    ]
    confusion = confusion_matrix(results)
    assert confusion.true_names == ("cyst", "hemangioma", "metastasis", "healthy")
    assert confusion.predicted_names == ("cyst", "hemangioma", "metastasis", "nothing found")
    assert confusion.counts.tolist() == [[1, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0], [0, 1, 0, 1]]
    with pytest.raises(ValueError, match="found none"):
        confusion_matrix([])

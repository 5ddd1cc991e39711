"""The best combination is chosen by Dice2 under a bound on false positives; worked by hand."""

import numpy as np
import pytest

from liver_tf.assessment.postprocessing_search import (
    LEAST_AREAS_MM2,
    THRESHOLDS,
    best_of,
    combinations,
)
from liver_tf.inference.postprocessing import NOTHING, PostProcessing

#: Slices without a lesion.
HEALTHY = 20


def choose(values, most=0.1, decision="threshold"):
    """``values``: Dice2 and number of false positives in 20 healthy slices, by settings."""
    tried = combinations(decision, corrected=True)
    dice, detected = np.zeros((1, len(tried))), np.ones((HEALTHY, len(tried)), bool)
    for how, (dice2, false_positives) in values.items():
        dice[0, tried.index(how)] = dice2
        detected[false_positives:, tried.index(how)] = False
    return best_of(tried, dice, detected, most)


def settings(index, area=0.0, fill_holes=False):
    return PostProcessing(THRESHOLDS[index], fill_holes, area, corrected=True)


def test_thresholds_are_even_in_logit():
    logits = np.log(np.array(THRESHOLDS) / (1 - np.array(THRESHOLDS)))
    np.testing.assert_allclose(np.diff(logits), 2 * np.log(999) / 40, rtol=1e-2)
    assert (THRESHOLDS[0], THRESHOLDS[20], THRESHOLDS[40]) == (0.001, 0.5, 0.999)


def test_the_combinations_of_a_rule():
    assert len(combinations("threshold", True)) == 41 * 2 * len(LEAST_AREAS_MM2)
    for decision, corrected in (("argmax", False), ("prior_corrected", True)):
        tried = combinations(decision, corrected)
        assert len(tried) == 2 * len(LEAST_AREAS_MM2)
        assert {how.decision for how in tried} == {decision}
    assert combinations("argmax", False)[0] == NOTHING


def test_the_best_dice_within_the_bound_is_chosen():
    good, better, best = settings(25), settings(22, 20.0), settings(15)
    values = {good: (0.6, 0), better: (0.7, 2), best: (0.9, 3)}
    choice = choose(values)  # 3 of 20 healthy slices are too many, 2 are not
    assert choice.how == better
    assert choice.warnings == []
    row = next(row for row in choice.table if row["dice2"] == 0.7)
    assert row == {
        "lesion_probability": THRESHOLDS[22],
        "fill_holes": False,
        "least_area_mm2": 20.0,
        "corrected": True,
        "rim_pixels": 1,
        "least_height": 0.0,
        "whole_liver": False,
        "dice2": 0.7,
        "false_positive_rate": 0.1,
    }
    assert choose(values, most=0.15).how == best
    assert choose(values, most=0.0).how == good


def test_of_nearly_equal_dice_the_simplest_is_chosen():
    near = {settings(20): (0.696, 2), settings(21, 30.0): (0.7, 1), settings(30): (0.694, 0)}
    assert choose(near).how == settings(20)
    equal = {
        settings(24, 50.0): (0.7, 0),
        settings(24, 20.0): (0.699, 0),
        settings(24, 20.0, fill_holes=True): (0.7, 0),
        settings(28, 20.0): (0.7, 0),
    }
    assert choose(equal).how == settings(24, 20.0)
    assert choose({**equal, settings(37): (0.696, 0)}).how == settings(37)
    assert choose({settings(19): (0.7, 2), settings(21): (0.7, 1)}).how == settings(21)


@pytest.mark.parametrize(("gains", "simplest"), [([0.1, -0.1, 0.1, 0.0], True), ([0.1] * 4, False)])
def test_a_gain_within_its_standard_error_justifies_no_further_setting(gains, simplest):
    """Mean gain 0.025, standard error 0.048; or 0.1 in every slice."""
    tried = combinations("threshold", corrected=True)
    plain, more = settings(20), settings(20, 50.0)
    dice = np.zeros((4, len(tried)))
    dice[:, tried.index(plain)] = 0.6
    dice[:, tried.index(more)] = 0.6 + np.array(gains)
    choice = best_of(tried, dice, np.zeros((HEALTHY, len(tried)), bool), 0.1)
    assert choice.how == (plain if simplest else more)


def test_the_lowest_rate_is_chosen_if_none_keeps_to_the_bound():
    choice = choose({settings(20): (0.9, 9), settings(30): (0.5, 7), settings(31): (0.4, 7)})
    assert choice.how == settings(30)
    (warning,) = choice.warnings
    assert "No combination has a false-positive rate of 0.1 or less" in warning
    assert "0.35" in warning


def test_settings_of_little_use_are_reported():
    choice = choose({settings(20): (0.4, 0), settings(10): (0.9, 20)})
    assert choice.how == settings(20)
    (warning,) = choice.warnings
    assert "Dice2 is 0.40; the best of all combinations is 0.90" in warning
    assert choose({settings(20): (0.5, 0), settings(10): (0.9, 20)}).warnings == []
    assert "Dice2 is 0.00; the best of all combinations is 0.00" in choose({}).warnings[-1]


def test_without_healthy_slices_dice_alone_decides():
    tried = combinations("argmax", corrected=False)
    dice = np.linspace(1.0, 0.1, len(tried))[None]
    choice = best_of(tried, dice, np.zeros((0, len(tried)), bool), 0.1)
    assert choice.how == NOTHING
    assert choice.table[0]["false_positive_rate"] is None
    assert "false positives are not limited" in choice.warnings[0]


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        (settings(40), ["threshold 0.999 (searched 0.001 to 0.999)"]),
        (settings(0, 200.0), ["threshold 0.001", "minimum area 200 mm2 (searched up to 200)"]),
        (settings(39, 150.0), []),
        (settings(20), []),
    ],
)
def test_a_choice_at_the_limit_of_the_search_is_reported(how, expected):
    choice = choose({how: (0.8, 0)})
    assert choice.how == how
    assert len(choice.warnings) == len(expected)
    for warning, text in zip(choice.warnings, expected, strict=True):
        assert text in warning
        assert "at the limit of the search" in warning

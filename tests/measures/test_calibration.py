"""Calibration worked out by hand, and the temperature against known ones."""

import math
from dataclasses import replace

import numpy as np
import pytest

from liver_tf.labels import LESION_TYPES
from liver_tf.measures.calibration import (
    BINS,
    LOWEST,
    calibration_error,
    fit_temperature,
    reliability,
    scaled_scores,
)
from liver_tf.measures.compare_with_truth import compare_with_truth
from liver_tf.measures.measure_registry import row_weights, summarise

CYST, HEMANGIOMA, METASTASIS = 2, 3, 4


def scored(label, index, *scores, detected=True):
    truth, predicted = np.array([[label]], np.uint8), np.array([[2 if detected else 1]], np.uint8)
    where = {"patient": f"p{index}", "case": f"c{index}", "slice_index": 0}
    return compare_with_truth(truth, predicted, LESION_TYPES, **where, type_scores=scores)


RESULTS = [
    scored(CYST, 0, 0.95, 0.03, 0.02),  # confident and right
    scored(CYST, 1, 0.02, 0.93, 0.05),  # confident and wrong
    scored(HEMANGIOMA, 2, 0.3, 0.6, 0.1),  # 0.6 lies in (0.5, 0.6], right
    scored(METASTASIS, 3, 1, 1, 1, detected=False),  # makes no claim
    scored(1, 4, 0.9, 0.1, 0.0),  # healthy: no type is right
]


def test_calibration_error_by_hand():
    # Bin (0.9, 1.0]: confidences .95 and .93, one of two right; bin (0.5, 0.6]: .6 and right.
    expected = (abs(1 - (0.95 + 0.93)) + abs(1 - 0.6)) / 3
    terms = calibration_error(RESULTS, np.ones(5), scaled=False)
    assert terms.value() == pytest.approx(expected)
    assert summarise(RESULTS)["calibration_error"] == pytest.approx(expected)
    assert summarise(RESULTS)["calibration_error_scaled"] is None
    assert summarise(RESULTS[3:])["calibration_error"] is None


def test_reliability_curve_by_hand():
    curve = reliability(RESULTS, row_weights(RESULTS), scaled=False)
    assert [entry.slices for entry in curve] == [0, 0, 0, 0, 0, 1, 0, 0, 0, 2]
    assert curve[9].confidence == pytest.approx(0.94)
    assert curve[9].right == 0.5
    assert (curve[5].low, curve[5].high, curve[5].right) == (0.5, 0.6, 1.0)
    assert curve[0].confidence is None
    # Sum over the bins of share times gap is the calibration error.
    gaps = sum(b.slices * abs(b.right - b.confidence) for b in curve if b.slices) / 3
    assert gaps == pytest.approx(summarise(RESULTS)["calibration_error"])
    assert len(curve) == BINS


def test_scaling_by_hand():
    # Squared and scaled to sum to one at T = 1/2; untouched at 1; alike where T is large.
    np.testing.assert_allclose(
        scaled_scores(np.array([0.5, 0.5, 0.0]), 1.0), [0.5, 0.5, 0.0], atol=1e-9
    )
    squares = np.array([0.36, 0.09, 0.01])
    np.testing.assert_allclose(
        scaled_scores(np.array([0.6, 0.3, 0.1]), 0.5), squares / squares.sum()
    )
    np.testing.assert_allclose(scaled_scores(np.array([0.6, 0.3, 0.1]), 1e6), 1 / 3, atol=1e-5)
    cooled = [replace(r, temperature=0.5) for r in RESULTS]
    best = [0.95**2 / (0.95**2 + 0.03**2 + 0.02**2), 0.93**2 / (0.93**2 + 0.02**2 + 0.05**2)]
    expected = (abs(1 - sum(best)) + abs(1 - 0.36 / 0.46)) / 3
    assert summarise(cooled)["calibration_error_scaled"] == pytest.approx(expected)


def test_the_temperature_by_hand():
    # Two of three are cysts, and every score gives cyst 0.9 (1 : 1/18 : 1/18 else): the best
    # scaled probability of a cyst is 2/3, so 18 ** (1 / T) = 4.
    results = [scored(label, k, 18, 1, 1) for k, label in enumerate((CYST, CYST, METASTASIS))]
    fitted = fit_temperature(results)
    assert fitted.value == pytest.approx(math.log(18) / math.log(4), rel=1e-4)
    assert fitted.after == pytest.approx(-(2 * math.log(4 / 6) + math.log(1 / 6)) / 3)
    assert fitted.before == pytest.approx(-(2 * math.log(18 / 20) + math.log(1 / 20)) / 3)
    assert (fitted.fitted_on, fitted.slices, fitted.cases) == ("validation", 3, ("c0", "c1", "c2"))
    assert not fitted.at_bound


def test_a_known_temperature_is_found():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (4000, 3))
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = [rng.choice(3, p=p) + 2 for p in chances]
    # A network that multiplies its logits by 2.5 is overconfident by that factor.
    sharp = scaled_scores(chances, 1 / 2.5)
    results = [scored(label, k, *s) for k, (label, s) in enumerate(zip(labels, sharp, strict=True))]
    fitted = fit_temperature(results)
    assert fitted.value == pytest.approx(2.5, rel=0.06)
    assert fitted.after < fitted.before
    warmed = [replace(r, temperature=fitted.value) for r in results]
    summary = summarise(warmed)
    assert summary["calibration_error_scaled"] < 0.03 < summary["calibration_error"]


def test_no_temperature_without_scores_and_a_limit_if_all_are_correct():
    assert fit_temperature(RESULTS[3:]) is None
    sure = fit_temperature([scored(CYST, k, 0.5, 0.3, 0.2) for k in range(3)])
    assert sure.at_bound
    assert sure.value == pytest.approx(LOWEST, rel=1e-3)

"""Free-response measures agree with trying every threshold."""

from dataclasses import replace

import numpy as np
import pytest

from liver_tf.measures.free_response import (
    free_response_curve,
    free_response_measures,
    rank_lesions,
)
from liver_tf.measures.lesion_matching import MatchedLesion
from liver_tf.measures.measure_registry import all_measures, measures_by_size, row_weights
from liver_tf.measures.measure_sums import ResampleWeights, ResamplingUnits
from tests.builders.cohort import slice_result


def random_slices(rng, patients=8):
    """Slices with random lesions; scores have one digit, so that many are equal."""
    slices = []
    for network in (("0", 0), ("0", 1), ("1", 0), ("1", 1)):
        for p in range(patients):
            own = replace(slice_result(f"f{network[0]}p{p}", hit=1, seed=network[1]))
            true, found = [], []
            for _ in range(rng.integers(0, 4)):
                score, iou = round(rng.random(), 1), float(rng.choice([0.05, 0.4]))
                matched = rng.random() < 0.7
                of_true = int(rng.integers(2, 5)), 5, float(rng.choice([9.0, 15.0]))
                true.append(MatchedLesion(*of_true, iou * matched, score if matched else None))
                if matched:
                    found.append(MatchedLesion(2, 5, 9.0, iou, score))
            chance = rng.random(rng.integers(0, 4)).round(1).tolist()
            found += [MatchedLesion(3, 5, 9.0, 0.0, score) for score in chance]
            lesions = {"true_lesions": tuple(true), "found_lesions": tuple(found)}
            slices.append(replace(own, fold=network[0], **lesions))
    return slices


def by_every_threshold(slices, rate, counts=lambda lesion: True):
    """Each network at the threshold with most lesions found; or areas of precision and recall."""
    above = below = 0.0
    for network in {s.network for s in slices}:
        own = [s for s in slices if s.network == network]
        lesions = [x for s in own for x in s.true_lesions if counts(x)]
        found = [x for s in own for x in s.found_lesions]
        best, area, before = 0, 0.0, 0
        for threshold in sorted({x.score for x in found}, reverse=True):
            hits = sum(
                x.iou >= 0.1 and x.score >= threshold for x in lesions if x.score is not None
            )
            wrong = sum(x.iou < 0.1 and x.score >= threshold for x in found)
            if rate is not None and wrong <= rate * len(own) + 1e-9:
                best = max(best, hits)
            if hits + wrong:
                area += (hits - before) * hits / (hits + wrong)
            before = hits
        above += area if rate is None else best
        below += len(lesions)
    return above / below


MEASURES = {
    "lesion_average_precision": None,
    "lesion_sensitivity_at_0.1": 0.1,
    "lesion_sensitivity_at_1": 1.0,
}


def test_agrees_with_every_threshold():
    rng = np.random.default_rng(0)
    for _ in range(20):
        slices = random_slices(rng)
        measures = all_measures(slices)
        for name, rate in MEASURES.items():
            assert measures[name].value() == pytest.approx(by_every_threshold(slices, rate)), name


def test_a_resample_is_a_cohort_with_repeated_patients():
    rng = np.random.default_rng(1)
    slices = random_slices(rng)
    units = ResamplingUnits.of(slices)
    counts = rng.integers(0, 3, len(units.patients))
    copies = [
        replace(s, patient=f"{s.patient}-{k}")
        for s in slices
        for k in range(counts[units.patients.index(s.patient)])
    ]
    weights = ResampleWeights(counts[None].astype(float), np.ones((1, len(units.networks))))
    for name, rate in MEASURES.items():
        drawn = all_measures(slices)[name].resampled(units)(weights, weights.of_pairs(units))
        assert drawn == pytest.approx(by_every_threshold(copies, rate)), name


def test_sensitivity_by_type_and_size_has_the_threshold_of_all_lesions():
    rng = np.random.default_rng(3)
    for _ in range(10):
        slices = random_slices(rng)
        measures, by_size = all_measures(slices), measures_by_size(slices)
        for name, rate in list(MEASURES.items())[1:]:
            for label, kind in enumerate(("cyst", "hemangioma", "metastasis"), 2):
                expected = by_every_threshold(slices, rate, lambda x, t=label: x.type == t)
                assert measures[f"{name}_{kind}"].value() == pytest.approx(expected)
            expected = by_every_threshold(slices, rate, lambda x: x.diameter_mm == 15.0)
            assert by_size["10_to_20_mm"][name].value() == pytest.approx(expected)
            assert by_size["50_mm_and_more"][name].value() is None


def test_a_curve_rises_to_the_recall_of_all_lesions():
    slices = random_slices(np.random.default_rng(4), patients=20)
    curve = free_response_curve(rank_lesions(slices, row_weights(slices)))
    values = [sums.value() for sums in curve.values()]
    assert list(curve) == sorted(curve)
    assert values == sorted(values)
    for rate in list(curve)[::5]:
        assert curve[rate].value() == pytest.approx(by_every_threshold(slices, rate))
    assert values[-1] == pytest.approx(all_measures(slices)["lesion_recall_iou10"].value())


def test_a_network_that_predicts_no_lesion_finds_none():
    slices = [slice_result("p0", hit=0), slice_result("p1", hit=0)]
    for name in MEASURES:
        assert all_measures(slices)[name].value() == 0.0
    curve = free_response_curve(rank_lesions(slices, row_weights(slices)))
    assert {rate: sums.value() for rate, sums in curve.items()} == {0.0: 0.0}


def test_unknown_scores_give_no_measure():
    slices = random_slices(np.random.default_rng(2))
    old = [MatchedLesion(2, 5, 9.0, 0.0)]
    assert free_response_measures([replace(slices[0], found_lesions=tuple(old))], np.ones(1)) == {}

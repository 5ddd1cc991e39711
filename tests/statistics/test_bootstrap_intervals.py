"""Intervals against a slow bootstrap that copies slices; resampling of networks by hand."""

import time
from dataclasses import replace

import numpy as np
import pytest

from liver_tf.labels import LESION_TYPES
from liver_tf.measures.compare_with_truth import compare_with_truth
from liver_tf.measures.measure_registry import all_measures, summarise
from liver_tf.measures.measure_sums import ResamplingUnits
from liver_tf.statistics.bootstrap_intervals import Interval, _weight_chunks, intervals, resample
from liver_tf.statistics.paired_difference import PairedDifference
from liver_tf.statistics.protocol_comparisons import compare
from tests.builders.cohort import slice_result


def draw(results, **options):
    return resample(results, all_measures(results), **options)


def mean_dice(results):
    dice = [result.dice for result in results if result.has_lesion]
    return sum(dice) / len(dice)


def slow_bootstrap(results, samples, seed, measure=summarise):
    """Draws patients one after the other and measures the copied slices again."""
    rng = np.random.default_rng(seed)
    by_patient = {}
    for result in results:
        by_patient.setdefault(result.patient, []).append(result)
    patients = sorted(by_patient)
    drawn = []
    for _ in range(samples):
        chosen = rng.choice(patients, size=len(patients))
        copies = [
            replace(result, patient=f"{place} {patient}")
            for place, patient in enumerate(chosen)
            for result in by_patient[patient]
        ]
        drawn.append(measure(copies))
    return drawn


def dice2_difference(reference, other, *, samples=10_000):
    results = {"baseline": reference, "mine": other}
    resamples = {
        name: resample(slices, all_measures(slices), samples=samples)
        for name, slices in results.items()
    }
    (difference,) = compare(results, resamples, measures=("dice2",), permutations=100)
    return difference


def test_agrees_with_the_slow_bootstrap(cohort):
    results = cohort(0.7)
    fast = intervals(results, samples=20_000, seed=1)
    slow = slow_bootstrap(results, 800, seed=2)
    summary = summarise(results)
    assert set(fast) <= set(summary)
    for measure, interval in fast.items():
        assert interval.value == summary[measure]
        values = [s[measure] for s in slow if s[measure] is not None]
        # By rank, because a measure over few slices takes few values: an end lies at its share of
        # the slow draws, give or take four standard errors of a share of 2.5 % among 800.
        for end, share in ((interval.low, 0.025), (interval.high, 0.975)):
            assert np.mean(np.array(values) < end - 1e-12) <= share + 0.022, measure
            assert np.mean(np.array(values) <= end + 1e-12) >= share - 0.022, measure


def test_every_resample_of_two_patients_by_hand():
    lesion, liver = np.array([[2]], np.uint8), np.array([[1]], np.uint8)
    hit = compare_with_truth(lesion, lesion, LESION_TYPES, patient="a", case="c", slice_index=0)
    miss = compare_with_truth(lesion, liver, LESION_TYPES, patient="b", case="c", slice_index=0)
    by_measure = intervals([hit, miss], samples=4_000, seed=0)
    # aa, ab or ba, bb: Success 1, 1/2, 0 with chances 1/4, 1/2, 1/4.
    assert by_measure["success"] == Interval(0.5, 0.0, 1.0, 4_000, 2)
    # Dice1 exists only where a was drawn, is carried by one patient, and so has no interval.
    assert by_measure["dice1"] == Interval(1.0, None, None, 0, 1)
    assert by_measure["healthy_false_positive_rate"] == Interval(None, None, None, 0, 0)
    narrow = intervals([hit, miss], samples=4_000, seed=0, level=0.4)["success"]
    assert (narrow.low, narrow.high) == (0.5, 0.5)


def test_patients_are_resampled_with_all_slices(cohort):
    results = cohort(0.6)
    copies = [replace(r, case=f"copy{k}") for r in results for k in range(4)]
    # Four copies of every slice tell nothing new about patients; resampled as slices they would
    # halve the interval.
    once, often = intervals(results, seed=3)["dice2"], intervals(copies, seed=3)["dice2"]
    assert often.low == pytest.approx(once.low)
    assert often.high == pytest.approx(once.high)


def test_seed_decides(cohort):
    results = cohort(0.6)
    assert intervals(results, samples=500, seed=4) == intervals(results, samples=500, seed=4)
    assert intervals(results, samples=500, seed=4) != intervals(results, samples=500, seed=5)
    shuffled = intervals(results[::-1], samples=500, seed=4)["dice2"]
    assert shuffled.low == pytest.approx(intervals(results, samples=500, seed=4)["dice2"].low)


def test_undefined_resamples_are_excluded():
    lesion, liver = np.array([[2]], np.uint8), np.array([[1]], np.uint8)
    slices = {"a": (liver, lesion), "b": (liver, liver), "c": (lesion, lesion)}
    results = [
        compare_with_truth(truth, predicted, LESION_TYPES, patient=p, case="c", slice_index=0)
        for p, (truth, predicted) in slices.items()
    ]
    interval = intervals(results, samples=2_700)["healthy_false_positive_rate"]
    # Only c drawn, three times: no healthy slice, with a chance of 1 in 27.
    assert interval.samples == pytest.approx(2_600, abs=45)
    assert (interval.value, interval.low, interval.high) == (0.5, 0.0, 1.0)


def test_one_patient_has_no_interval(cohort):
    interval = intervals(cohort(0.9, patients=1))["dice2"]
    assert interval.value is not None
    assert interval.low is None
    assert interval.high is None


def test_no_results_have_no_values():
    assert intervals([], samples=10)["dice2"] == Interval(None, None, None, 0, 0)


def test_paired_difference_agrees_with_the_slow_bootstrap(cohort):
    reference, other = cohort(0.4), cohort(0.9)
    compared = dice2_difference(reference, other, samples=20_000)
    slow = [
        after - before
        for before, after in zip(
            slow_bootstrap(reference, 1_500, 7, mean_dice),
            slow_bootstrap(other, 1_500, 7, mean_dice),
            strict=True,
        )
    ]
    low, high = np.quantile(slow, [0.025, 0.975])
    difference = summarise(other)["dice2"] - summarise(reference)["dice2"]
    assert compared.interval.value == pytest.approx(difference)
    assert compared.interval.low == pytest.approx(low, abs=0.25 * np.std(slow))
    assert compared.interval.high == pytest.approx(high, abs=0.25 * np.std(slow))
    assert compared.verdict() == "Dice2 of mine against baseline: higher (observed, one training)"
    back = dice2_difference(other, reference)
    assert back.verdict().endswith(": lower (observed, one training)")


def test_a_protocol_against_itself_shows_no_difference(cohort):
    same = dice2_difference(cohort(0.6), cohort(0.6))
    assert same.interval == Interval(0.0, 0.0, 0.0, 10_000, 19)
    assert same.verdict() == "Dice2 of mine against baseline: no difference shown"


@pytest.mark.parametrize(
    ("interval", "ending"),
    [
        (Interval(0.1, -0.01, 0.2, 100), "no difference shown"),
        (Interval(0.1, 0.0, 0.2, 100), "no difference shown"),
        (Interval(0.1, 0.01, 0.2, 100), "higher"),
        (Interval(-0.1, -0.2, -0.01, 100), "lower"),
        (Interval(0.1, None, None, 0), "no difference shown (too few patients for an interval)"),
        (Interval(None, None, None, 0), "undefined on these data"),
    ],
)
def test_verdicts(interval, ending):
    verdict = PairedDifference("accuracy", "mine", "baseline", interval, trainings=3).verdict()
    assert verdict == f"Accuracy of mine against baseline: {ending}"


def test_refusals(cohort):
    results = cohort(0.6)
    with pytest.raises(ValueError, match="1 only in the first and 0 only in the second"):
        dice2_difference(results, results[1:], samples=10)
    with pytest.raises(ValueError, match="at least 1 sample"):
        intervals(results, samples=0)
    with pytest.raises(ValueError, match="a level between 0 and 1"):
        intervals(results, level=95)


def test_full_cohort_is_fast(cohort):
    results = cohort(0.7, patients=140)
    start = time.process_time()
    intervals(results, samples=10_000)
    assert time.process_time() - start < 10  # a loop over resamples takes minutes


def test_networks_are_resampled_too():
    """Two seeds that differ for every patient alike: patients alone would give no width."""
    results = [slice_result(f"p{k}", hit=2, seed=0) for k in range(10)]
    results += [slice_result(f"p{k}", hit=0, seed=1) for k in range(10)]
    interval = intervals(results, samples=4_000)["success"]
    # One seed or the other: 1, 0.
    assert (interval.value, interval.low, interval.high) == (0.5, 0.0, 1.0)
    shares = np.unique(draw(results, samples=4_000).samples["success"], return_counts=True)
    assert shares[0].tolist() == [0.0, 1.0]
    assert shares[1] / 4_000 == pytest.approx([0.5, 0.5], abs=0.03)


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_resamples_of_networks_have_the_variance_of_their_mean(seeds):
    """Drawing all S of them would lose 1/S of the variance."""
    hits = np.random.default_rng(seeds).integers(0, 3, seeds)
    hits[:2] = 0, 2
    results = [
        slice_result(f"p{k}", hit=hit, seed=seed) for seed, hit in enumerate(hits) for k in range(4)
    ]
    shares = [2 * hit / (2 + hit) for hit in hits]
    resampled = draw(results, samples=40_000).samples["dice2"]
    assert np.var(resampled) == pytest.approx(np.var(shares, ddof=1) / seeds, rel=0.03)
    assert np.mean(resampled) == pytest.approx(np.mean(shares), abs=0.01)


def test_networks_of_different_folds_are_resampled_separately():
    results = [
        replace(slice_result(f"p{fold}{k}", hit=2 * (seed == 0), seed=seed), fold=str(fold))
        for fold in range(2)
        for seed in range(2)
        for k in range(5)
    ]
    values = np.unique(draw(results, samples=4_000).samples["success"].round(3))
    # Drawn together, folds would only give 0 and 1.
    assert len(values) > 2


def test_more_seeds_do_not_act_like_more_patients(cohort):
    single = cohort(0.6)
    three = [replace(r, seed=seed) for r in single for seed in range(3)]
    alone, together = (intervals(r, samples=2_000, seed=3)["dice2"] for r in (single, three))
    assert together.value == pytest.approx(alone.value)
    assert together.low == pytest.approx(alone.low)
    assert together.high == pytest.approx(alone.high)


def test_every_fold_keeps_its_number_of_networks():
    results = [
        replace(slice_result(f"p{fold}{k}", hit=1, seed=seed), fold=str(fold))
        for fold, seeds in ((0, 2), (1, 3))
        for seed in range(seeds)
        for k in range(2)
    ]
    (drawn,) = _weight_chunks(ResamplingUnits.of(results), 300, 0)
    assert set(drawn.networks[:, :2].sum(axis=1)) == {2.0}
    assert set(drawn.networks[:, 2:].sum(axis=1)) == {3.0}
    assert set(drawn.networks[:, 0]) == {0.0, 2.0}
    assert set(drawn.networks[:, 2]) == {0.0, 1.5, 3.0}


def test_ranking_is_resampled_within_networks():
    """One network ranks every pair rightly, the other every one wrongly."""
    truth = {"a": 2, "b": 2, "c": 3, "d": 3}
    results = []
    for seed, scores in enumerate(({2: (9, 1, 0), 3: (1, 9, 0)}, {2: (1, 9, 0), 3: (9, 1, 0)})):
        for patient, label in truth.items():
            labels = np.array([[label]], np.uint8)
            where = {"patient": patient, "case": "c", "slice_index": 0}
            scored = compare_with_truth(
                labels, labels, LESION_TYPES, **where, type_scores=scores[label]
            )
            results.append(replace(scored, seed=seed))
    drawn = draw(results, samples=4_000)
    assert drawn.observed["auc_cyst"] == 0.5
    values, counts = np.unique(
        drawn.samples["auc_cyst"][~np.isnan(drawn.samples["auc_cyst"])], return_counts=True
    )
    assert values.tolist() == [0.0, 1.0]
    assert counts / counts.sum() == pytest.approx([0.5, 0.5], abs=0.03)

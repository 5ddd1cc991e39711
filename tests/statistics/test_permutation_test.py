"""The permutation test against SciPy and by hand; Holm's correction by hand."""

import numpy as np
import pytest
from scipy import stats

from liver_tf.measures.measure_registry import all_measures
from liver_tf.measures.measure_sums import RatioSums, ResamplingUnits
from liver_tf.statistics.permutation_test import holm, permutation_test
from tests.builders.cohort import slice_result


def p_of(reference, other, measure="dice2", **options):
    tested = permutation_test(
        all_measures(reference)[measure],
        all_measures(other)[measure],
        ResamplingUnits.of(reference),
        ResamplingUnits.of(other),
        **options,
    )
    return None if tested is None else tested.p


def test_every_exchange_of_three_patients_by_hand():
    reference = [slice_result(p, hit=0) for p in "abc"]
    other = [slice_result("a", hit=2), slice_result("b", hit=2), slice_result("c", hit=1)]
    # Differences 1, 1 and 2/3; of 8 exchanges only the observed one and its opposite lie as far.
    assert p_of(reference, other) == pytest.approx(2 / 8)
    # Success: 1, 1, 1, the same two of 8.
    assert p_of(reference, other, "success") == pytest.approx(2 / 8)
    assert p_of(reference, reference) == 1.0


def test_slices_of_a_patient_are_exchanged_together():
    reference = [slice_result("a", hit=0, index=k) for k in range(12)]
    other = [slice_result("a", hit=2, index=k) for k in range(12)]
    # A single patient gives no evidence, whatever the number of slices.
    assert p_of(reference, other) == 1.0


@pytest.mark.parametrize("patients", [9, 40])
def test_agrees_with_scipy(patients):
    rng = np.random.default_rng(patients)
    before = rng.random(patients)
    after = before + rng.normal(0.1, 0.3, patients)
    ones = np.ones(patients)
    units = ResamplingUnits(
        tuple(f"p{k:02}" for k in range(patients)),
        (("", 0),),
        np.arange(patients),
        np.zeros(patients, int),
    )
    ours = permutation_test(
        RatioSums(before, ones), RatioSums(after, ones), units, units, permutations=20_000
    )
    theirs = stats.permutation_test(
        (after, before),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=20_000,
        rng=np.random.default_rng(0),
    ).pvalue
    # Up to 14 patients both are exact.
    assert ours.exact is (patients == 9)
    assert ours.exchanges == (2**9 if patients == 9 else 20_000)
    assert ours.p == pytest.approx(theirs, abs=1e-12 if patients == 9 else 0.01)


def test_a_ratio_with_changing_denominator_agrees_with_brute_force(cohort):
    reference, other = cohort(0.3, patients=8), cohort(0.9, patients=8)
    patients = sorted({r.patient for r in reference})

    def dice1(results):
        dice = [r.dice for r in results if r.has_lesion and r.overlap]
        return sum(dice) / len(dice) if dice else np.nan

    def apart(exchanged):
        first, second = [], []
        for a, b in zip(reference, other, strict=True):
            swap = exchanged >> patients.index(a.patient) & 1
            first.append(b if swap else a)
            second.append(a if swap else b)
        return abs(dice1(second) - dice1(first))

    far = [not apart(k) < apart(0) - 1e-12 for k in range(2**8)]
    assert p_of(reference, other, "dice1") == pytest.approx(np.mean(far))


def test_undefined_has_no_p_and_seed_decides(cohort):
    missed = [slice_result(p, hit=0) for p in "ab"]
    assert p_of(missed, missed, "dice1") is None
    reference, other = cohort(0.5), cohort(0.7)
    assert p_of(reference, other, seed=1) == p_of(reference, other, seed=1)
    assert p_of(reference, other, permutations=99) >= 1 / 100
    with pytest.raises(ValueError, match="the same patients"):
        p_of(reference, cohort(0.5, patients=3))
    with pytest.raises(ValueError, match="at least 1 permutation"):
        p_of(reference, other, permutations=0)


def test_null_differences_give_uniform_p():
    rng = np.random.default_rng(1)
    units = ResamplingUnits(tuple("abcdefghijkl"), (("", 0),), np.arange(12), np.zeros(12, int))
    p_values = []
    for _ in range(200):
        before, after = (RatioSums(rng.random(12), np.ones(12)) for _ in "ab")
        p_values.append(permutation_test(before, after, units, units, permutations=4096).p)
    assert stats.kstest(p_values, "uniform").pvalue > 0.01


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, None, 0.9]) == [1.0, None, 1.0]
    assert holm([]) == []


def test_p_is_never_zero():
    names = [f"p{k:02}" for k in range(30)]
    missed, overlapping = ([slice_result(p, hit=hit) for p in names] for hit in (0, 2))
    assert p_of(missed, overlapping, permutations=99) == 1 / 100

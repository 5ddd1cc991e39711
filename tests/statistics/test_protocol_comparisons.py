"""Permutation test against SciPy and by hand, Holm by hand, seeds drawn with the patients."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from liver_tf.labels import LESION_TYPES
from liver_tf.measures.compare_with_truth import compare_with_truth
from liver_tf.measures.measure_registry import all_measures
from liver_tf.measures.measure_sums import RatioSums, ResamplingUnits
from liver_tf.report.findings import compute_findings
from liver_tf.results.stored_results import LOOSE
from liver_tf.statistics.bootstrap_intervals import _weight_chunks, intervals, resample
from liver_tf.statistics.permutation_test import holm, permutation_test
from liver_tf.statistics.protocol_comparisons import compare, compared_pairs


def draw(results, **options):
    return resample(results, all_measures(results), **options)


def sliced(patient, *, hit, index=0, seed=0):
    """A slice with a lesion of 2 pixels, of which ``hit`` are found."""
    truth, found = np.array([[2, 2]], np.uint8), np.array([[1, 1]], np.uint8)
    found[0, :hit] = 2
    where = {"patient": patient, "case": "c", "slice_index": index}
    return replace(compare_with_truth(truth, found, LESION_TYPES, **where), seed=seed)


def p_of(reference, other, measure="dice2", **options):
    found = permutation_test(
        all_measures(reference)[measure],
        all_measures(other)[measure],
        ResamplingUnits.of(reference),
        ResamplingUnits.of(other),
        **options,
    )
    return None if found is None else found.p


def test_every_exchange_of_three_patients_by_hand():
    reference = [sliced(p, hit=0) for p in "abc"]
    other = [sliced("a", hit=2), sliced("b", hit=2), sliced("c", hit=1)]
    # Differences 1, 1 and 2/3; of 8 exchanges only the observed one and its opposite lie as far.
    assert p_of(reference, other) == pytest.approx(2 / 8)
    # Success: 1, 1, 1, the same two of 8.
    assert p_of(reference, other, "success") == pytest.approx(2 / 8)
    assert p_of(reference, reference) == 1.0


def test_slices_of_a_patient_are_exchanged_together():
    reference = [sliced("a", hit=0, index=k) for k in range(12)]
    other = [sliced("a", hit=2, index=k) for k in range(12)]
    # One patient says nothing, however many slices.
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


def test_a_ratio_whose_denominator_changes_against_a_slow_way(cohort):
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
    missed = [sliced(p, hit=0) for p in "ab"]
    assert p_of(missed, missed, "dice1") is None
    one, other = cohort(0.5), cohort(0.7)
    assert p_of(one, other, seed=1) == p_of(one, other, seed=1)
    assert p_of(one, other, permutations=99) >= 1 / 100
    with pytest.raises(ValueError, match="the same patients"):
        p_of(one, cohort(0.5, patients=3))
    with pytest.raises(ValueError, match="at least 1 permutation"):
        p_of(one, other, permutations=0)


def test_null_differences_give_uniform_p():
    rng = np.random.default_rng(1)
    units = ResamplingUnits(tuple("abcdefghijkl"), (("", 0),), np.arange(12), np.zeros(12, int))
    found = []
    for _ in range(200):
        before, after = (RatioSums(rng.random(12), np.ones(12)) for _ in "ab")
        found.append(permutation_test(before, after, units, units, permutations=4096).p)
    assert stats.kstest(found, "uniform").pvalue > 0.01


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, None, 0.9]) == [1.0, None, 1.0]
    assert holm([]) == []


def test_all_against_the_baseline_and_the_controls():
    names = ("no_freezing_5_cycles", "baseline", "hier_freeze", "hier_unfreeze")
    assert compared_pairs(names) == (
        ("baseline", "no_freezing_5_cycles"),
        ("baseline", "hier_freeze"),
        ("baseline", "hier_unfreeze"),
        ("no_freezing_5_cycles", "hier_freeze"),
    )
    assert compared_pairs(("mine", "yours")) == ()


def test_comparisons_are_corrected_measure_by_measure(cohort):
    results = {"baseline": cohort(0.3), "mine": cohort(0.95), "same": cohort(0.3)}
    drawn = {name: draw(own, samples=400) for name, own in results.items()}
    found = compare(results, drawn, measures=("dice2", "accuracy"), permutations=999)
    assert [(d.measure, d.protocol) for d in found] == [
        *(("dice2", "mine"), ("dice2", "same"), ("accuracy", "mine"), ("accuracy", "same"))
    ]
    better, same = found[:2]
    assert better.verdict() == "Dice2 of mine against baseline: higher"
    assert better.p_holm == pytest.approx(2 * better.p)
    assert (same.p, same.p_holm) == (1.0, 1.0)
    assert "no difference shown" in same.verdict()
    doubtful = replace(better, p_holm=0.05)
    assert doubtful.verdict() == (
        "Dice2 of mine against baseline: no difference shown after correction"
    )
    with pytest.raises(ValueError, match="the same slices"):
        compare({"baseline": cohort(0.3), "mine": cohort(0.9)[1:]}, drawn)


def test_seeds_are_drawn_too():
    """Two seeds that differ for every patient alike: patients alone would give no width."""
    results = [sliced(f"p{k}", hit=2, seed=0) for k in range(10)]
    results += [sliced(f"p{k}", hit=0, seed=1) for k in range(10)]
    found = intervals(results, samples=4_000)["success"]
    # One seed or the other: 1, 0.
    assert (found.value, found.low, found.high) == (0.5, 0.0, 1.0)
    shares = np.unique(draw(results, samples=4_000).samples["success"], return_counts=True)
    assert shares[0].tolist() == [0.0, 1.0]
    assert shares[1] / 4_000 == pytest.approx([0.5, 0.5], abs=0.03)


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_resamples_of_networks_spread_as_their_mean_does(seeds):
    """Drawing all S of them would lose 1/S of the variance."""
    hits = np.random.default_rng(seeds).integers(0, 3, seeds)
    hits[:2] = 0, 2
    results = [
        sliced(f"p{k}", hit=hit, seed=seed) for seed, hit in enumerate(hits) for k in range(4)
    ]
    shares = [2 * hit / (2 + hit) for hit in hits]
    found = draw(results, samples=40_000).samples["dice2"]
    assert np.var(found) == pytest.approx(np.var(shares, ddof=1) / seeds, rel=0.03)
    assert np.mean(found) == pytest.approx(np.mean(shares), abs=0.01)


def test_networks_of_different_folds_are_drawn_apart():
    results = [
        replace(sliced(f"p{fold}{k}", hit=2 * (seed == 0), seed=seed), fold=str(fold))
        for fold in range(2)
        for seed in range(2)
        for k in range(5)
    ]
    values = np.unique(draw(results, samples=4_000).samples["success"].round(3))
    # Drawn together, folds would only give 0 and 1.
    assert len(values) > 2


def test_more_seeds_never_make_one_patient_many(cohort):
    one = cohort(0.6)
    three = [replace(r, seed=seed) for r in one for seed in range(3)]
    alone, together = (intervals(r, samples=2_000, seed=3)["dice2"] for r in (one, three))
    assert together.value == pytest.approx(alone.value)
    assert together.low == pytest.approx(alone.low)
    assert together.high == pytest.approx(alone.high)


def test_every_fold_keeps_its_number_of_networks():
    results = [
        replace(sliced(f"p{fold}{k}", hit=1, seed=seed), fold=str(fold))
        for fold, seeds in ((0, 2), (1, 3))
        for seed in range(seeds)
        for k in range(2)
    ]
    (drawn,) = _weight_chunks(ResamplingUnits.of(results), 300, 0)
    assert set(drawn.networks[:, :2].sum(axis=1)) == {2.0}
    assert set(drawn.networks[:, 2:].sum(axis=1)) == {3.0}
    assert set(drawn.networks[:, 0]) == {0.0, 2.0}
    assert set(drawn.networks[:, 2]) == {0.0, 1.5, 3.0}


def test_ranking_is_drawn_with_its_networks():
    """One network ranks every pair rightly, the other every one wrongly."""
    truth = {"a": 2, "b": 2, "c": 3, "d": 3}
    results = []
    for seed, scores in enumerate(({2: (9, 1, 0), 3: (1, 9, 0)}, {2: (1, 9, 0), 3: (9, 1, 0)})):
        for patient, label in truth.items():
            labels = np.array([[label]], np.uint8)
            where = {"patient": patient, "case": "c", "slice_index": 0}
            own = compare_with_truth(
                labels, labels, LESION_TYPES, **where, type_scores=scores[label]
            )
            results.append(replace(own, seed=seed))
    drawn = draw(results, samples=4_000)
    assert drawn.observed["auc_cyst"] == 0.5
    values, counts = np.unique(
        drawn.samples["auc_cyst"][~np.isnan(drawn.samples["auc_cyst"])], return_counts=True
    )
    assert values.tolist() == [0.0, 1.0]
    assert counts / counts.sum() == pytest.approx([0.5, 0.5], abs=0.03)


def test_p_is_never_zero():
    names = [f"p{k:02}" for k in range(30)]
    missed, found = ([sliced(p, hit=hit) for p in names] for hit in (0, 2))
    assert p_of(missed, found, permutations=99) == 1 / 100


def test_seeds_are_pooled_by_patient_by_hand():
    """Two patients, two seeds: a is hit by both seeds, b by the first alone."""
    hits = {("a", 0): 2, ("a", 1): 2, ("b", 0): 2, ("b", 1): 0}
    results = [sliced(patient, hit=hit, seed=seed) for (patient, seed), hit in hits.items()]
    # Averaged within a patient: (1 + 1/2) / 2. Pooled as four slices it would be the same, but the
    # resamples are not those of four: patients aa, ab, bb with chances 1/4, 1/2, 1/4, crossed with
    # the first seed or the second.
    drawn = draw(results, samples=64_000)
    assert drawn.observed["success"] == 0.75
    expected = {
        # aa: always 1. ab: 1 or 1/2. bb: 1 or 0.
        1.0: 2 / 8 + 2 / 8 + 1 / 8,
        0.5: 2 / 8,
        0.0: 1 / 8,
    }
    values, counts = np.unique(drawn.samples["success"], return_counts=True)
    found = dict(zip(values.tolist(), counts / 64_000, strict=True))
    assert found == pytest.approx(expected, abs=0.01)
    # A 95 % interval of these: 0 has a chance of 1/8, more than the 2.5 % that lie below.
    interval = drawn.interval("success")
    assert (interval.low, interval.high) == (0.0, 1.0)
    # p asks about patients: seeds averaged, the differences are 1/2 (a) and 1/2 (b) from one that
    # hits a with one seed and b with none. Of 4 exchanges none and both lie as far.
    reference = [
        sliced("a", hit=2, seed=0),
        sliced("a", hit=0, seed=1),
        sliced("b", hit=0, seed=0),
        sliced("b", hit=0, seed=1),
    ]
    assert p_of(reference, results, "success") == pytest.approx(2 / 4)


def networks(patients, *, hits, fold="0"):
    """Slices of some patients by the networks in ``hits`` (seed -> hit)."""
    return [
        replace(sliced(p, hit=hit, seed=seed), fold=fold)
        for seed, hit in hits.items()
        for p in patients
    ]


def test_only_what_both_have_is_compared():
    names = [f"p{k}" for k in range(12)]
    # The second seed of the reference hits all; had it a part in the comparison, nothing differed.
    results = {
        "baseline": networks(names, hits={0: 0, 1: 2}),
        "mine": networks(names, hits={0: 1}),
        "apart": networks(names, hits={7: 2}),
    }
    drawn = {name: draw(own, samples=300) for name, own in results.items()}
    mine, apart = compare(results, drawn, measures=("success",), samples=300)
    assert mine.interval.value == 1.0
    assert (mine.patients, mine.networks, mine.shown) == (12, 1, "higher")
    assert apart.interval.value is None
    assert (apart.patients, apart.networks, apart.p) == (0, 0, None)
    assert apart.shown == "not compared (no fold and seed in common)"
    # Whole protocols are compared with the resamples that are there.
    again = compare(
        {k: results[k] for k in ("baseline",)} | {"twin": results["baseline"]},
        drawn | {"twin": drawn["baseline"]},
        measures=("success",),
    )
    assert (again[0].networks, again[0].interval.value) == (2, 0.0)


def test_protocols_validated_on_the_test_fold_are_compared_among_themselves():
    loose = [f"{name}, {LOOSE}" for name in ("baseline", "hier_freeze", "no_freezing_5_cycles")]
    assert compared_pairs(("baseline", "mine", *loose)) == (
        ("baseline", "mine"),
        (loose[0], loose[1]),
        (loose[0], loose[2]),
        (loose[2], loose[1]),
    )
    assert compared_pairs(("baseline", loose[1])) == ()


def test_protocols_validated_on_the_test_fold_cost_the_clean_ones_nothing(cohort):
    clean = {"baseline": cohort(0.6), "mine": cohort(0.7)}
    loose = {f"{name}, {LOOSE}": cohort(q) for name, q in (("baseline", 0.6), ("mine", 0.7))}
    loose |= {f"{name}, {LOOSE}": cohort(0.65) for name in ("yours", "theirs")}
    found = {}
    for results in (clean, clean | loose):
        drawn = {name: draw(own, samples=50) for name, own in results.items()}
        every = compare(results, drawn, measures=("dice2",), permutations=500, samples=50)
        found |= {(len(results), d.protocol): d for d in every}
    alone, beside = found[2, "mine"], found[6, "mine"]
    assert alone.p == alone.p_holm == beside.p_holm < 1 / 3
    # The three loose ones are corrected for three.
    least = min((d for d in found.values() if d.protocol.endswith(LOOSE)), key=lambda d: d.p)
    assert least.p_holm == pytest.approx(3 * least.p)


def test_it_is_said_where_all_exchanges_were_made():
    names = [f"p{k:02}" for k in range(12)]
    missed = [sliced(p, hit=0) for p in names]
    results = {
        "baseline": missed,
        "few": [sliced(p, hit=2 * (k < 3)) for k, p in enumerate(names)],
        "many": [sliced(p, hit=2) for p in names],
    }
    pair = {name: results[name] for name in ("baseline", "few")}
    ending = " of the results of two protocols by patient, seeds averaged"
    told = compute_findings(pair, "d", samples=1_000).facts["permutations"]
    # Exchanging a patient whose results are alike changes nothing: 2 to the 3 are left.
    assert told == "all 8 exchanges" + ending
    told = compute_findings(results, "d", samples=1_000).facts["permutations"]
    assert told == "1000 random exchanges, all 8 exchanges if there are no more" + ending
    told = compute_findings(results, "d", samples=4_096).facts["permutations"]
    assert told == "all 8 to 4096 exchanges" + ending


def test_healthy_slices_are_compared_where_there_are_some():
    """Their patients are counted, not those of the slices with a lesion."""
    names = [f"p{k}" for k in range(12)]
    sick = {"baseline": networks(names, hits={0: 1}), "mine": networks(names, hits={0: 1})}

    def compared(results):
        drawn = {name: draw(own, samples=300) for name, own in results.items()}
        return {d.measure: d for d in compare(results, drawn, permutations=300, samples=300)}

    assert "healthy_false_positive_rate" not in compared(sick)
    liver = np.array([[1, 1]], np.uint8)
    found = {"baseline": np.array([[1, 2]], np.uint8), "mine": liver}
    both = {
        name: [
            *own,
            *(
                replace(
                    compare_with_truth(
                        liver, found[name], LESION_TYPES, patient=p, case=p, slice_index=9
                    ),
                    **{k: getattr(own[0], k) for k in ("fold", "seed")},
                )
                for p in names[1:]
            ),
        ]
        for name, own in sick.items()
    }
    told = compared(both)["healthy_false_positive_rate"]
    assert (told.interval.value, told.patients, told.shown) == (-1.0, 11, "lower")
    assert compared(both)["success"].patients == 12

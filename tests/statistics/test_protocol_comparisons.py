"""Which protocols are compared, on which networks, and with which correction."""

from dataclasses import replace

import numpy as np
import pytest

from liver_tf.labels import LESION_TYPES
from liver_tf.measures.compare_with_truth import compare_with_truth
from liver_tf.measures.measure_registry import all_measures
from liver_tf.measures.measure_sums import ResamplingUnits
from liver_tf.report.findings import compute_findings
from liver_tf.results.run_results import LOOSE
from liver_tf.statistics.bootstrap_intervals import resample
from liver_tf.statistics.permutation_test import permutation_test
from liver_tf.statistics.protocol_comparisons import compare, compared_pairs
from tests.builders.cohort import slice_result


def draw(results, **options):
    return resample(results, all_measures(results), **options)


def p_of(reference, other, measure="dice2", **options):
    tested = permutation_test(
        all_measures(reference)[measure],
        all_measures(other)[measure],
        ResamplingUnits.of(reference),
        ResamplingUnits.of(other),
        **options,
    )
    return None if tested is None else tested.p


def test_all_against_the_baseline_and_the_controls():
    names = ("no_freezing_5_cycles", "baseline", "hier_freeze", "hier_unfreeze")
    assert compared_pairs(names) == (
        ("baseline", "no_freezing_5_cycles"),
        ("baseline", "hier_freeze"),
        ("baseline", "hier_unfreeze"),
        ("no_freezing_5_cycles", "hier_freeze"),
    )
    names = ("hier_unfreeze", "anatomical", "hier_unfreeze_anatomical")
    assert compared_pairs(names) == (
        ("hier_unfreeze", "hier_unfreeze_anatomical"),
        ("anatomical", "hier_unfreeze"),
    )
    assert compared_pairs(("mine", "yours")) == ()


def test_comparisons_are_corrected_over_all_measures(cohort):
    results = {"baseline": cohort(0.3), "mine": cohort(0.6), "same": cohort(0.3)}
    drawn = {name: draw(slices, samples=400) for name, slices in results.items()}
    compared = compare(results, drawn, measures=("dice2", "accuracy"), permutations=1_999)
    assert [(d.measure, d.protocol) for d in compared] == [
        *(("dice2", "mine"), ("dice2", "same"), ("accuracy", "mine"), ("accuracy", "same"))
    ]
    better, same = compared[:2]
    # One seed: whatever the figures are, nothing is shown.
    assert better.verdict() == "Dice2 of mine against baseline: higher (observed, one training)"
    assert (better.is_shown, better.brief) == (False, "higher, observed")
    two, three = (replace(better, trainings=count) for count in (2, 3))
    assert two.verdict() == "Dice2 of mine against baseline: higher (observed, two trainings)"
    assert (three.shown, three.is_shown) == ("higher", True)
    assert (same.p, same.p_holm) == (1.0, 1.0)
    # Holm by hand over the four comparisons: p times 4 for the smallest, times 3 for the next.
    first, second = sorted((compared[0].p, compared[2].p))
    assert first < 1 / 4
    assert sorted((compared[0].p_holm, compared[2].p_holm)) == [
        pytest.approx(4 * first),
        pytest.approx(max(4 * first, 3 * second)),
    ]
    assert "no difference shown" in same.verdict()
    doubtful = replace(better, p_holm=0.05)
    assert doubtful.verdict() == (
        "Dice2 of mine against baseline: no difference shown after correction"
    )
    with pytest.raises(ValueError, match="the same slices"):
        compare({"baseline": cohort(0.3), "mine": cohort(0.9)[1:]}, drawn)


def test_seeds_are_pooled_by_patient_by_hand():
    """Two patients, two seeds: a is hit by both seeds, b by the first alone."""
    hits = {("a", 0): 2, ("a", 1): 2, ("b", 0): 2, ("b", 1): 0}
    results = [slice_result(patient, hit=hit, seed=seed) for (patient, seed), hit in hits.items()]
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
    observed = dict(zip(values.tolist(), counts / 64_000, strict=True))
    assert observed == pytest.approx(expected, abs=0.01)
    # A 95 % interval of these: 0 has a chance of 1/8, more than the 2.5 % that lie below.
    interval = drawn.interval("success")
    assert (interval.low, interval.high) == (0.0, 1.0)
    # p asks about patients: seeds averaged, the differences are 1/2 (a) and 1/2 (b) from one that
    # hits a with one seed and b with none. Of 4 exchanges none and both lie as far.
    reference = [
        slice_result("a", hit=2, seed=0),
        slice_result("a", hit=0, seed=1),
        slice_result("b", hit=0, seed=0),
        slice_result("b", hit=0, seed=1),
    ]
    assert p_of(reference, results, "success") == pytest.approx(2 / 4)


def networks(patients, *, hits, fold="0"):
    """Slices of some patients by the networks in ``hits`` (seed -> hit)."""
    return [
        replace(slice_result(p, hit=hit, seed=seed), fold=fold)
        for seed, hit in hits.items()
        for p in patients
    ]


def test_only_common_networks_are_compared():
    names = [f"p{k}" for k in range(12)]
    # The second seed of the reference hits all; had it a part in the comparison, nothing differed.
    results = {
        "baseline": networks(names, hits={0: 0, 1: 2}),
        "mine": networks(names, hits={0: 1}),
        "apart": networks(names, hits={7: 2}),
    }
    drawn = {name: draw(slices, samples=300) for name, slices in results.items()}
    common, apart = compare(results, drawn, measures=("success",), samples=300)
    assert common.interval.value == 1.0
    assert (common.patients, common.networks, common.trainings) == (12, 1, 1)
    assert common.shown == "higher (observed, one training)"
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


def test_protocols_validated_on_the_test_fold_do_not_weaken_the_correction(cohort):
    clean = {"baseline": cohort(0.6), "mine": cohort(0.7)}
    loose = {f"{name}, {LOOSE}": cohort(q) for name, q in (("baseline", 0.6), ("mine", 0.7))}
    loose |= {f"{name}, {LOOSE}": cohort(0.65) for name in ("yours", "theirs")}
    by_protocol = {}
    for results in (clean, clean | loose):
        drawn = {name: draw(slices, samples=50) for name, slices in results.items()}
        every = compare(results, drawn, measures=("dice2",), permutations=500, samples=50)
        by_protocol |= {(len(results), d.protocol): d for d in every}
    alone, beside = by_protocol[2, "mine"], by_protocol[6, "mine"]
    assert alone.p == alone.p_holm == beside.p_holm < 1 / 3
    # The three loose ones are corrected for three.
    least = min((d for d in by_protocol.values() if d.protocol.endswith(LOOSE)), key=lambda d: d.p)
    assert least.p_holm == pytest.approx(3 * least.p)


def test_exact_permutation_tests_are_reported():
    names = [f"p{k:02}" for k in range(12)]
    missed = [slice_result(p, hit=0) for p in names]
    results = {
        "baseline": missed,
        "few": [slice_result(p, hit=2 * (k < 3)) for k, p in enumerate(names)],
        "many": [slice_result(p, hit=2) for p in names],
    }
    pair = {name: results[name] for name in ("baseline", "few")}
    ending = " of the results of two protocols by patient, seeds averaged"
    reported = compute_findings(pair, "d", samples=1_000).facts["permutations"]
    # Exchanging a patient whose results are alike changes nothing: 2 to the 3 are left.
    assert reported == "all 8 exchanges" + ending
    reported = compute_findings(results, "d", samples=1_000).facts["permutations"]
    assert reported == "1000 random exchanges, all 8 exchanges if there are no more" + ending
    reported = compute_findings(results, "d", samples=4_096).facts["permutations"]
    assert reported == "all 8 to 4096 exchanges" + ending


def test_healthy_slices_are_compared_if_there_are_any():
    """Their patients are counted, not those of the slices with a lesion."""
    names = [f"p{k}" for k in range(12)]
    sick = {"baseline": networks(names, hits={0: 1}), "mine": networks(names, hits={0: 1})}

    def compared(results):
        drawn = {name: draw(slices, samples=300) for name, slices in results.items()}
        return {d.measure: d for d in compare(results, drawn, permutations=300, samples=300)}

    assert "healthy_false_positive_rate" not in compared(sick)
    liver = np.array([[1, 1]], np.uint8)
    predicted = {"baseline": np.array([[1, 2]], np.uint8), "mine": liver}
    both = {
        name: [
            *slices,
            *(
                replace(
                    compare_with_truth(
                        liver, predicted[name], LESION_TYPES, patient=p, case=p, slice_index=9
                    ),
                    **{k: getattr(slices[0], k) for k in ("fold", "seed")},
                )
                for p in names[1:]
            ),
        ]
        for name, slices in sick.items()
    }
    difference = compared(both)["healthy_false_positive_rate"]
    assert (difference.interval.value, difference.patients, difference.direction) == (
        -1.0,
        11,
        "lower",
    )
    assert compared(both)["success"].patients == 12

"""Thinning and balance: expected shares, reproducible, and different in every epoch."""

import itertools

import numpy as np
import pytest

from liver_tf.pipeline.sampling import EVERYTHING, Sampling, interleaved, kinds_of, times_shown
from liver_tf.refusals import Refusal

#: 4,000 slices without liver, 2,000 without lesion; 600, 300 and 100 of three lesion types.
KINDS = np.repeat([0, 1, 2, 3, 4], [4000, 2000, 600, 300, 100])
EXAMPLES = np.random.default_rng(0).integers(0, 2**62, len(KINDS))


def shown(sampling, seed=0, epoch=0, examples=EXAMPLES, kinds=KINDS):
    return times_shown(sampling, seed, epoch, examples, kinds)


def test_by_default_every_slice_is_shown_once():
    assert EVERYTHING.shows_all
    assert (shown(EVERYTHING) == 1).all()
    for other in (Sampling(0.5), Sampling(1.0, 0.5), Sampling(resample=True)):
        assert not other.shows_all


def test_thinning_affects_only_slices_of_its_kind():
    times = shown(Sampling(0.1, 0.3))
    assert set(np.unique(times)) == {0, 1}
    assert (times[KINDS >= 2] == 1).all()
    # Five standard deviations of a binomial distribution.
    assert abs(times[KINDS == 0].sum() - 400) < 5 * np.sqrt(4000 * 0.1 * 0.9)
    assert abs(times[KINDS == 1].sum() - 600) < 5 * np.sqrt(2000 * 0.3 * 0.7)
    assert shown(Sampling(0.0))[KINDS == 0].sum() == 0
    assert (shown(Sampling(0.0))[KINDS > 0] == 1).all()


def test_epochs_and_seeds_draw_differently_and_all_slices_are_shown_eventually():
    chosen = [
        shown(Sampling(0.5), seed, epoch)[KINDS == 0] == 1
        for seed, epoch in itertools.product((0, 1), range(12))
    ]
    agreement = [np.mean(a == b) for a, b in itertools.combinations(chosen, 2)]
    assert np.abs(np.array(agreement) - 0.5).max() < 5 * 0.5 / np.sqrt(4000)
    assert np.any(chosen[:12], axis=0).mean() > 0.999


def test_thinning_of_a_slice_does_not_depend_on_other_slices():
    subset = np.random.default_rng(1).permutation(len(KINDS))[:500]
    alone = shown(Sampling(0.3, 0.6), 3, 7, EXAMPLES[subset], KINDS[subset])
    np.testing.assert_array_equal(alone, shown(Sampling(0.3, 0.6), 3, 7)[subset])


def test_balance_shows_each_kind_and_each_slice_of_a_kind_equally_often():
    balanced = Sampling(resample=True, max_repeats=18)
    times = shown(balanced)
    groups = np.maximum(KINDS, 1)
    assert times.sum() == 7000
    assert [times[groups == kind].sum() for kind in (1, 2, 3, 4)] == [1750] * 4
    assert set(np.unique(times[groups == 1])) == {0, 1}
    assert set(np.unique(times[groups == 2])) == {2, 3}
    assert set(np.unique(times[groups == 4])) == {17, 18}
    other = shown(balanced, epoch=1)
    assert not np.array_equal(times, other)
    np.testing.assert_array_equal(times, shown(balanced))


@pytest.mark.parametrize(
    ("max_repeats", "expected"),
    [
        # 100 slices are shown at most 1,000 times; the other three kinds share 6,000.
        (10, [2000, 2000, 2000, 1000]),
        # 100, 300 and 600 slices are shown twice; the rest has no lesion.
        (2, [5000, 1200, 600, 200]),
        (1, [6000, 600, 300, 100]),
    ],
)
def test_max_repeats_is_respected_and_the_epoch_keeps_its_length(max_repeats, expected):
    times = shown(Sampling(resample=True, max_repeats=max_repeats))
    groups = np.maximum(KINDS, 1)
    assert [times[groups == kind].sum() for kind in (1, 2, 3, 4)] == expected
    assert times.max() == max_repeats


@pytest.mark.parametrize(
    ("share", "max_repeats", "lesions"), [(0.5, 10, 3500), (0.05, 10, 350), (0.9, 4, 4000)]
)
def test_slices_with_a_lesion_get_their_share_of_the_epoch(share, max_repeats, lesions):
    times = shown(Sampling(lesion_share=share, max_repeats=max_repeats))
    assert times.sum() == 7000
    assert times[KINDS >= 2].sum() == lesions
    assert np.ptp(times[KINDS >= 2]) <= 1
    assert np.ptp(times[KINDS < 2]) <= 1
    assert times.max() <= max_repeats
    # If the other kind runs out, or there is a single kind, the epoch keeps its length.
    few = np.array([0] + [2] * 9)
    times = shown(Sampling(lesion_share=0.1, max_repeats=1), 0, 0, np.arange(10), few)
    assert times.tolist() == [1] * 10
    healthy = np.zeros(10, np.int64)
    times = shown(Sampling(lesion_share=0.5), 0, 0, np.arange(10), healthy)
    assert times.tolist() == [1] * 10


@pytest.mark.parametrize("share", [0.0, 0.34, 0.5])
@pytest.mark.parametrize("lesions", [0, 1, 3, 6, 10, 20])
def test_every_stretch_has_the_share_of_lesions_of_the_epoch(lesions, share):
    places = np.random.default_rng(0).permutation(20)
    has_lesion = places < lesions
    ordered = interleaved(places, has_lesion, share)
    assert sorted(ordered) == list(range(20))
    assert ordered[ordered < lesions].tolist() == places[has_lesion].tolist()
    for length in (1, 4, 7):
        counts = [(ordered[i : i + length] < lesions).sum() for i in range(21 - length)]
        expected = length * (share if (lesions, share) in ((6, 0.34), (10, 0.5)) else lesions / 20)
        assert set(counts) <= {int(np.floor(expected)), int(np.ceil(expected))}


def test_a_slice_counts_as_its_rarest_lesion_type():
    """Label 3 never occurs alone; label 4 occurs on more slices than 2 and 3."""
    slices = [{0}, {0, 1}, {2}, {1, 2}, {1, 4, 2, 3}, {1, 4, 2, 3}, {4}, {4}, {1, 2, 4}, {4, 1}]
    present = np.array([[label in slice_ for label in range(6)] for slice_ in slices])
    assert present.sum(axis=0)[2:].tolist() == [5, 2, 6, 0]
    np.testing.assert_array_equal(kinds_of(present), [0, 1, 2, 2, 3, 3, 4, 4, 2, 4])
    # For equally rare types, the lower label. With one lesion class there is no choice.
    np.testing.assert_array_equal(kinds_of(np.array([[1, 1, 1, 1]], bool)), [2])
    np.testing.assert_array_equal(kinds_of(np.array([[1, 0], [1, 1]], bool)), [0, 1])


def test_every_type_gets_at_least_its_share():
    generator = np.random.default_rng(2)
    balanced = Sampling(resample=True, max_repeats=10**6)
    lowest_shares = []
    for _ in range(12):
        present = generator.random((400, 6)) < generator.uniform(0, 0.7, 6) ** 2
        present[:, 0] = True
        present[:, 2] |= generator.random(400) < 0.3
        present[:, 5] = present[:, 2] & (generator.random(400) < 0.1)  # never occurs alone
        kinds = kinds_of(present)
        epochs = range(25)
        times = sum(shown(balanced, 0, epoch, np.arange(400), kinds) for epoch in epochs)
        share = 400 / len(np.unique(np.maximum(kinds, 1)))
        lesions = present[:, 2:][:, present[:, 2:].any(axis=0)]
        lowest_shares.append((times @ lesions).min() / len(epochs) / share)
    # Mean over epochs, because the slices that are shown once more are random.
    assert min(lowest_shares) > 0.95


def test_balance_follows_thinning_and_remainders_rotate():
    kinds = np.array([0, 0, 1, 2, 3, 3, 3, 3])
    examples = np.arange(8)
    thinned = shown(Sampling(keep_without_liver=0.0, resample=True), 0, 0, examples, kinds)
    assert thinned[:2].sum() == 0
    assert thinned.sum() == 6
    assert [thinned[kinds == kind].sum() for kind in (1, 2, 3)] == [2, 2, 2]
    short_kind = {}
    for epoch in range(3):
        times = shown(Sampling(resample=True), 0, epoch, examples, kinds)
        assert times.sum() == 8
        counts = [times[np.maximum(kinds, 1) == kind].sum() for kind in (1, 2, 3)]
        assert sorted(counts) == [2, 3, 3]
        short_kind[epoch] = counts.index(2)
    assert set(short_kind.values()) == {0, 1, 2}


def test_an_epoch_without_slices_is_refused():
    with pytest.raises(Refusal, match="none of 3 in epoch 5") as caught:
        times_shown(Sampling(0.0, 0.0), 0, 4, np.arange(3), np.array([0, 1, 1]))
    assert caught.value.code == "no-slices"


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_shares_outside_zero_to_one_are_refused(share):
    with pytest.raises(ValueError, match=r"keep_without_lesion: expected (0 to 1|a finite number)"):
        Sampling(1.0, share)


def test_max_repeats_below_one_is_refused():
    with pytest.raises(ValueError, match="max_repeats: expected at least 1"):
        Sampling(resample=True, max_repeats=0)


def test_the_sampling_is_described_in_words():
    assert EVERYTHING.in_words() == "an epoch shows every training slice once"
    thinned = Sampling(0.1, 0.5).in_words()
    assert (
        "10% of the training slices without liver and 50% of those with liver but no lesion"
        in thinned
    )
    assert "times" not in thinned
    assert "one slice at most 7 times" in Sampling(resample=True, max_repeats=7).in_words()

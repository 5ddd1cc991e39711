"""The paired t test and the equivalence test against scipy's own tests, and power by simulation."""

import numpy as np
import pytest
from scipy import stats

from liver_tf.statistics.paired_t import (
    detectable_difference,
    paired_t,
    power_of_difference,
    power_of_equivalence,
)

MARGIN = 0.02


@pytest.mark.parametrize(("mean", "sd", "n"), [(0.004, 0.02, 16), (-0.03, 0.04, 8), (0, 0.01, 2)])
def test_p_values_and_intervals_are_those_of_scipy(mean, sd, n):
    values = np.random.default_rng(n).normal(mean, sd, n)
    found = paired_t(values.tolist(), MARGIN)
    expected = stats.ttest_1samp(values, 0.0)
    assert found.p == pytest.approx(expected.pvalue)
    for level, ends in ((0.95, (found.low, found.high)), (0.9, (found.low_90, found.high_90))):
        interval = expected.confidence_interval(level)
        assert ends == pytest.approx((interval.low, interval.high))
    one_sided = (
        stats.ttest_1samp(values, -MARGIN, alternative="greater").pvalue,
        stats.ttest_1samp(values, MARGIN, alternative="less").pvalue,
    )
    assert found.p_equivalence == pytest.approx(max(one_sided))
    # Equivalence is shown if and only if the 90 % interval lies within the margin.
    within = found.low_90 > -MARGIN and found.high_90 < MARGIN
    assert (found.p_equivalence < 0.05) == within


def test_equal_differences_and_bad_arguments():
    same = paired_t([0.01, 0.01, 0.01], MARGIN)
    assert same.sd == pytest.approx(0.0, abs=1e-15)
    assert (same.low, same.high) == pytest.approx((0.01, 0.01))
    assert same.p_equivalence < 1e-6
    for values, margin in (([0.1], MARGIN), ([0.1, 0.2], 0.0)):
        with pytest.raises(ValueError, match="expected two differences and a margin above 0"):
            paired_t(values, margin)


@pytest.mark.parametrize(("sd", "n"), [(0.03, 10), (0.04, 16), (0.05, 24)])
def test_power_is_that_of_a_simulation(sd, n):
    """80 % for a difference of .03, and the power of equivalence without a difference."""
    assert power_of_difference(0.03, sd, n) == pytest.approx(0.8, abs=0.01)
    assert detectable_difference(sd, n) == pytest.approx(0.03, abs=0.0005)
    draws = np.random.default_rng(1).normal(0, sd, (20_000, n))
    shown = stats.ttest_1samp(draws + 0.03, 0.0, axis=1).pvalue < 0.05
    assert power_of_difference(0.03, sd, n) == pytest.approx(shown.mean(), abs=0.01)
    above = stats.ttest_1samp(draws, -MARGIN, axis=1, alternative="greater").pvalue < 0.05
    below = stats.ttest_1samp(draws, MARGIN, axis=1, alternative="less").pvalue < 0.05
    equivalent = (above & below).mean()
    assert power_of_equivalence(MARGIN, sd, n) == pytest.approx(equivalent, abs=0.01)

"""Paired t test and equivalence test over replicates.

Equivalence: two one-sided tests (TOST) at the same level as the test of a difference (Schuirmann
1987, "A comparison of the two one-sided tests procedure and the power approach for assessing the
equivalence of average bioavailability"). It is shown if the interval at one minus twice the level
lies within the margin.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

LEVEL = 0.05


@dataclass(frozen=True)
class PairedT:
    """Differences of replicates, one each.

    Attributes:
      mean, sd: of the differences; ``sd`` with n - 1.
      low, high: 95 % interval of the mean.
      low_90, high_90: 90 % interval, which equivalence compares with the margin.
      p: two-sided p value of no difference.
      p_equivalence: larger p value of the two one-sided tests against the margin.
    """

    replicates: int
    mean: float
    sd: float
    low: float
    high: float
    low_90: float
    high_90: float
    p: float
    p_equivalence: float


def paired_t(differences: Sequence[float], margin: float) -> PairedT:
    """Test differences against zero, and against a margin of equivalence.

    Raises:
      ValueError: fewer than two differences, or a margin that is not positive.
    """
    n, values = len(differences), np.asarray(differences, np.float64)
    if n < 2 or margin <= 0:
        raise ValueError(f"expected two differences and a margin above 0; got {n} and {margin}")
    mean, sd = float(values.mean()), float(values.std(ddof=1))
    # Equal differences have no spread; a tiny one keeps every formula defined.
    error = max(sd, 1e-12) / math.sqrt(n)
    t = stats.t(n - 1)
    half, half_90 = t.ppf(1 - LEVEL / 2) * error, t.ppf(1 - LEVEL) * error
    return PairedT(
        *(n, mean, sd, mean - half, mean + half, mean - half_90, mean + half_90),
        p=float(2 * t.sf(abs(mean) / error)),
        p_equivalence=float(t.sf((margin - abs(mean)) / error)),
    )


def power_of_difference(difference: float, sd: float, replicates: int) -> float:
    """Power of the two-sided paired t test at ``LEVEL`` for a true mean difference."""
    t = stats.t(replicates - 1).ppf(1 - LEVEL / 2)
    shifted = stats.nct(replicates - 1, abs(difference) / sd * math.sqrt(replicates))
    # The chance of the wrong direction; scipy returns NaN where it vanishes.
    return float(shifted.sf(t) + np.nan_to_num(shifted.cdf(-t)))


def detectable_difference(sd: float, replicates: int, power: float = 0.8) -> float:
    """The true difference that the paired t test shows with a given power."""
    highest = (stats.t(replicates - 1).ppf(1 - LEVEL / 2) + 4) * sd / math.sqrt(replicates)
    found = optimize.brentq(
        lambda d: power_of_difference(d, sd, replicates) - power, 1e-6 * sd, highest
    )
    return float(found)


def power_of_equivalence(margin: float, sd: float, replicates: int) -> float:
    """Power of the two one-sided tests at ``LEVEL`` if there is no difference.

    The mean and the spread of the differences are independent, so this is the mean, over the
    distribution of the spread, of the chance that the mean lies within what remains of the margin.
    """
    degrees = replicates - 1
    t = stats.t(degrees).ppf(1 - LEVEL)
    # Midpoints of equal shares of the distribution of the standard error.
    shares = (np.arange(2000) + 0.5) / 2000
    error = sd * np.sqrt(stats.chi2(degrees).ppf(shares) / degrees / replicates)
    room = np.maximum(margin - t * error, 0.0) * math.sqrt(replicates) / sd
    return float(np.mean(2 * stats.norm.cdf(room) - 1))

"""Confidence intervals by a bootstrap over patients, and over networks if there are several.

Slices of a patient are correlated, so patients are resampled with all their slices. Measures are
sums over slices (``measure_sums``), so a resample is one row of a matrix product.

With several seeds, the interval covers new patients and new trainings. Patients are drawn with
replacement; within each fold, S-1 of the S networks (seeds) are drawn with replacement, crossed
with the patients because every network of a fold predicts all of its patients. Drawing S networks
would show only (S-1)/S of the variance of their mean; S-1 draws, each weighted S/(S-1), show all of
it. Seeds are averaged within a slice, so that more seeds do not act like more patients. Resampling
patients alone would omit the variance between trainings; nesting seeds in patients would count the
deviation of one network as many independent deviations.

With one seed, the interval covers patients only. With two, the spread between the networks of a
fold is estimated from two values, and coverage is below 95 % if networks vary as much as patients
(``benchmarks/coverage.py``; docs/measures.md).

Source: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13, percentile
intervals; Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1 (2007), for crossed
factors; McCarthy and Snowden, "The bootstrap and finite population sampling", Vital and Health
Statistics 2(95) (1985), for n-1 draws of n.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from liver_tf.measures.measure_registry import all_measures
from liver_tf.measures.measure_sums import (
    MeasureSums,
    RatioSums,
    ResampleWeights,
    ResamplingUnits,
    divided,
)
from liver_tf.measures.slice_result import SliceResult
from liver_tf.statistics.resample_count import SAMPLES

LEVEL = 0.95

#: Intervals of fewer patients are not shown: resamples of a small sample are so alike that the
#: interval is too narrow, down to a single value if all agree ("1.00 [1.00, 1.00]").
LEAST_PATIENTS = 10

# Weights held in memory at a time: 32 MB. A few large products are faster than many small ones.
_WEIGHTS = 4_000_000

Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class Interval:
    """A measure and its percentile interval.

    Attributes:
      value: the measure on the data; None if undefined.
      low: lower end; None, like ``high``, if ``value`` is undefined or fewer than two patients
        contribute.
      samples: resamples in which the measure was defined, from which the ends were taken.
      patients: patients that contribute to the measure; for a difference, in the protocol with
        fewer of them. None if unknown.
    """

    value: float | None
    low: float | None
    high: float | None
    samples: int
    patients: int | None = None

    @property
    def of_few(self) -> bool:
        """Whether the interval comes from too few patients to be shown."""
        if self.patients is None or self.low is None:
            return False
        return self.patients < LEAST_PATIENTS

    @property
    def holds_zero(self) -> bool:
        """Whether the interval includes zero; True without an interval."""
        return self.low is None or self.high is None or self.low <= 0.0 <= self.high


@dataclass(frozen=True)
class Resamples(Generic[Name]):
    """Measures of one protocol on the data and on every resample.

    Attributes:
      observed: measure -> value on the data.
      samples: measure -> float64 [samples], NaN if undefined in the resample.
      patients: measure -> number of patients that contribute to it.
    """

    units: ResamplingUnits
    observed: dict[Name, float | None]
    samples: dict[Name, np.ndarray]
    patients: dict[Name, int]

    def renamed(self, names: Mapping[str, Name]) -> "Resamples[str]":
        """Only the measures in ``names``: new name -> present name."""
        return Resamples(
            self.units,
            {new: self.observed[old] for new, old in names.items()},
            {new: self.samples[old] for new, old in names.items()},
            {new: self.patients[old] for new, old in names.items()},
        )

    def interval(self, measure: Name, level: float = LEVEL) -> Interval:
        return _percentile_interval(
            self.observed[measure], self.samples[measure], self.patients[measure], level
        )

    def minus(self, reference: "Resamples[Name]", measure: Name, level: float = LEVEL) -> Interval:
        """Interval of the difference; both protocols use the same resamples of patients.

        They use the same resamples of networks, too, if they have the same folds and seeds: a seed
        decides the initial head and the order of the slices in every protocol.
        """
        before, after = reference.observed[measure], self.observed[measure]
        return _percentile_interval(
            None if before is None or after is None else after - before,
            self.samples[measure] - reference.samples[measure],
            min(self.patients[measure], reference.patients[measure]),
            level,
        )


def intervals(
    results: Sequence[SliceResult], *, samples: int = SAMPLES, seed: int = 0, level: float = LEVEL
) -> dict[str, Interval]:
    """Interval of every measure in ``measure_registry``; arguments as in ``resample``.

    Raises:
      ValueError: ``samples`` below 1 or ``level`` outside (0, 1).
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"expected a level between 0 and 1; found {level}")
    drawn = resample(results, all_measures(results), samples=samples, seed=seed)
    return {measure: drawn.interval(measure, level) for measure in drawn.observed}


def resample(
    results: Sequence[SliceResult],
    measures: Mapping[Name, MeasureSums],
    *,
    samples: int = SAMPLES,
    seed: int = 0,
) -> Resamples[Name]:
    """Resample the patients (and networks) of one protocol.

    Args:
      results: slices of one protocol, of any number of folds and seeds.
      measures: measures of these slices, by any name.
      seed: the same seed and patients give the same resamples.

    Raises:
      ValueError: ``samples`` below 1.
    """
    if samples < 1:
        raise ValueError(f"expected at least 1 sample; found {samples}")
    units = ResamplingUnits.of(results)
    ratios = {name: sums for name, sums in measures.items() if isinstance(sums, RatioSums)}
    others = {
        name: sums.resampled(units)
        for name, sums in measures.items()
        if not isinstance(sums, RatioSums)
    }
    shape = (len(results), len(ratios))
    # All ratios share one matrix product.
    above, below = (
        units.by_pair(np.reshape([getattr(r, side) for r in ratios.values()], shape[::-1]).T)
        for side in ("numerator", "denominator")
    )
    drawn = {name: np.empty(samples) for name in measures}
    start = 0
    for weights in _weight_chunks(units, samples, seed):
        pair_weights = weights.of_pairs(units)
        chunk = slice(start, start + len(pair_weights))
        values = divided(pair_weights @ above, pair_weights @ below)
        for name, column in zip(ratios, values.T, strict=True):
            drawn[name][chunk] = column
        for name, resampled in others.items():
            drawn[name][chunk] = resampled(weights, pair_weights)
        start += len(pair_weights)
    return Resamples(
        units,
        {name: sums.value() for name, sums in measures.items()},
        drawn,
        {name: sums.contributing_patients(units) for name, sums in measures.items()},
    )


def _weight_chunks(units: ResamplingUnits, samples: int, seed: int) -> Iterator[ResampleWeights]:
    """Weights of patients and networks, a chunk of resamples at a time.

    Patients and networks have separate random streams, so that protocols with different networks
    still share the resamples of patients.
    """
    of_patients, of_networks = (np.random.default_rng((seed, stream)) for stream in (0, 1))
    folds = [fold for fold, _ in units.networks]
    chunk = max(1, _WEIGHTS // max(len(units.pairs[0]), 1))
    for start in range(0, samples, chunk):
        size = min(chunk, samples - start)
        networks = np.ones((size, len(folds)))
        for fold in dict.fromkeys(folds):
            members = [k for k, name in enumerate(folds) if name == fold]
            draws = len(members) - 1
            if draws:
                counts = _counts(of_networks, len(members), size, draws)
                networks[:, members] = counts * (len(members) / draws)
        patients = len(units.patients)
        yield ResampleWeights(_counts(of_patients, patients, size, patients), networks)


def _counts(generator: np.random.Generator, members: int, samples: int, draws: int) -> np.ndarray:
    """How often each member is drawn in ``draws`` draws: float64 [samples, members]."""
    if members == 0:
        return np.zeros((samples, 0))
    shares = np.full(members, 1.0 / members)
    return generator.multinomial(draws, shares, size=samples).astype(np.float64)


def _percentile_interval(
    value: float | None, drawn: np.ndarray, patients: int, level: float
) -> Interval:
    defined = drawn[~np.isnan(drawn)]
    if value is None or patients < 2 or defined.size == 0:
        return Interval(value, None, None, 0, patients)
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high), int(defined.size), patients)

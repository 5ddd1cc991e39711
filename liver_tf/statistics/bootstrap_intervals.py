"""Confidence intervals by resampling patients, and networks where there are several.

Slices of one patient resemble each other, so patients are drawn, never slices: a patient comes
with all slices or not at all. Every measure is a sum over slices (``terms``), so a resample is one
row of a matrix product.

Several seeds. The question is what a protocol does for new patients and in another training, so
both are drawn: patients with replacement, and, within every fold, one fewer of its networks (seeds)
than there are, with replacement, crossed with the patients, since every network of a fold predicts
all of its patients. One fewer, because as many as S would show only (S-1)/S of the variance of the
mean of S networks, half of it with two; S-1 of them, each counted S/(S-1) times, show all of it,
and no weight is negative. For tens of patients that is not worth a thought. Seeds are averaged
within a slice, so more of them never make one patient look like many. Drawing patients alone would
leave the luck of the seed out of the interval, and two protocols that differ by it alone would soon
"differ"; nesting seeds in patients would treat one network's luck as many independent events. With
one seed the interval is about patients only, and what another training would give is unknown:
reports say so. With two, the spread of the networks of a fold is guessed from two, and percentiles
take no account of that: where networks differ as much as patients do, such an interval of 95 %
holds the truth less often (``benchmarks/coverage.py``; figures in docs/measures.md).

Source: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13, percentile
intervals; Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1 (2007), for crossed
factors; McCarthy and Snowden, "The bootstrap and finite population sampling", Vital and Health
Statistics 2(95) (1985), for n-1 draws of n.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from liver_tf.measures.measure_names import measure_title
from liver_tf.measures.measure_registry import measure_terms
from liver_tf.measures.measure_sums import AnyTerms, Draw, Terms, Units, divided
from liver_tf.measures.slice_result import SliceResult

SAMPLES = 10_000
LEVEL = 0.95

#: A corrected p below this, together with an interval without zero, is called a difference.
SIGNIFICANT = 0.05

#: Of fewer patients no interval is shown: resamples of few are so alike that the interval comes out
#: too narrow, down to a single number where they all agree ("1.00 [1.00, 1.00]").
LEAST_PATIENTS = 10

# Weights held in memory at once: 32 MB. Few large products cost less than many small ones.
_WEIGHTS = 4_000_000


@dataclass(frozen=True)
class Interval:
    """A measure and its percentile interval.

    Attributes:
      value: the measure on the data themselves; None where it is undefined.
      low, high: ends of the interval. None where ``value`` is undefined and where fewer than two
        patients carry the measure: one patient says nothing about patients.
      samples: resamples in which the measure was defined, and from which the ends were taken.
      patients: that carry the measure; of a difference, in the protocol that has fewer of them.
        None where it is not known.
    """

    value: float | None
    low: float | None
    high: float | None
    samples: int
    patients: int | None = None

    @property
    def of_few(self) -> bool:
        """Whether there is an interval of so few patients that it is not to be shown."""
        few = self.patients is not None and self.patients < LEAST_PATIENTS
        return few and self.low is not None

    @property
    def holds_zero(self) -> bool:
        """Whether zero lies in the interval; True where there is no interval."""
        return self.low is None or self.high is None or self.low <= 0.0 <= self.high


@dataclass(frozen=True)
class PairedDifference:
    """One measure of ``protocol`` minus that of ``reference`` on the same patients.

    Attributes:
      p: of the permutation test (``permutation``), None where it was not made.
      p_holm: the same after Holm's correction over all comparisons of this measure.
      patients, networks: that both have, and that were compared; patients who carry the measure.
      exchanges: made for p. exact: whether these were all that there are.
    """

    measure: str
    protocol: str
    reference: str
    interval: Interval
    p: float | None = None
    p_holm: float | None = None
    patients: int | None = None
    networks: int | None = None
    exchanges: int | None = None
    exact: bool = False

    @property
    def shown(self) -> str:
        """What may be said: ``higher``, ``lower``, ``no difference shown``, with the reason."""
        if self.networks == 0:
            return "not compared (no fold and seed in common)"
        if self.interval.value is None:
            return "undefined on these data"
        if self.interval.low is None or self.interval.of_few:
            return "no difference shown (too few patients for an interval)"
        if self.interval.holds_zero:
            return "no difference shown"
        if self.p_holm is not None and self.p_holm >= SIGNIFICANT:
            return "no difference shown after correction"
        return "higher" if self.interval.value > 0 else "lower"

    @property
    def is_shown(self) -> bool:
        """Whether a difference is shown, in either direction."""
        return self.shown in ("higher", "lower")

    def verdict(self) -> str:
        """One sentence that claims no more than interval and corrected p allow."""
        subject = f"{measure_title(self.measure)} of {self.protocol} against {self.reference}"
        return f"{subject}: {self.shown}"


@dataclass(frozen=True)
class Drawn:
    """Measures of the data and of every resample of one protocol.

    Attributes:
      units: patients and networks. observed: by measure.
      samples: measure -> float64 [samples], NaN where undefined in the resample.
      carriers: measure -> patients that carry it.
    """

    units: Units
    observed: dict[Hashable, float | None]
    samples: dict[Hashable, np.ndarray]
    carriers: dict[Hashable, int]

    def of(self, names: Mapping[str, Hashable]) -> Drawn:
        """The measures in ``names`` alone: new name -> name here."""
        return Drawn(
            self.units,
            *(
                {new: values[old] for new, old in names.items()}
                for values in (self.observed, self.samples, self.carriers)
            ),
        )

    def interval(self, measure: Hashable, level: float = LEVEL) -> Interval:
        """Percentile interval of one measure."""
        return _interval(
            self.observed[measure], self.samples[measure], self.carriers[measure], level
        )

    def minus(self, reference: Drawn, measure: Hashable, level: float = LEVEL) -> Interval:
        """Interval of the difference, every resample of patients shared by both.

        Networks are shared where both have the same folds and seeds: a seed decides the new head
        and the order of the slices in every protocol.
        """
        before, after = reference.observed[measure], self.observed[measure]
        return _interval(
            None if before is None or after is None else after - before,
            self.samples[measure] - reference.samples[measure],
            min(self.carriers[measure], reference.carriers[measure]),
            level,
        )


def draw(
    results: Sequence[SliceResult],
    terms: Mapping[Hashable, AnyTerms] | None = None,
    *,
    samples: int = SAMPLES,
    seed: int = 0,
) -> Drawn:
    """Resamples the patients (and networks) of one protocol.

    Args:
      results: slices of one protocol, of any number of folds and seeds.
      terms: measures of these slices; by default those of ``measures.measure_terms``.
      samples, seed: of the resamples. The same seed and patients give the same resamples.

    Raises:
      ValueError: ``samples`` below 1.
    """
    if samples < 1:
        raise ValueError(f"expected at least 1 sample; got {samples}")
    terms = measure_terms(results) if terms is None else terms
    units = Units.of(results)
    ratios = {name: one for name, one in terms.items() if isinstance(one, Terms)}
    others = {
        name: one.resampled(units) for name, one in terms.items() if not isinstance(one, Terms)
    }
    shape = (len(results), len(ratios))
    above, below = (
        units.by_cell(np.reshape([getattr(t, side) for t in ratios.values()], shape[::-1]).T)
        for side in ("numerator", "denominator")
    )
    drawn = {name: np.empty(samples) for name in terms}
    start = 0
    for one in _resamples(units, samples, seed):
        cells = one.of_cells(units)
        here = slice(start, start + len(cells))
        for name, column in zip(ratios, divided(cells @ above, cells @ below).T, strict=True):
            drawn[name][here] = column
        for name, resampled in others.items():
            drawn[name][here] = resampled(one, cells)
        start += len(cells)
    return Drawn(
        units,
        {name: one.value() for name, one in terms.items()},
        drawn,
        {name: one.carriers(units) for name, one in terms.items()},
    )


def intervals(
    results: Sequence[SliceResult],
    *,
    samples: int = SAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> dict[str, Interval]:
    """Interval of every measure of ``measures.summarise`` (not of its counts).

    Args:
      results: slices of one protocol.
      samples: number of resamples.
      seed: of the numpy Generator; the same seed and patients give the same resamples.
      level: coverage, between 0 and 1.

    Returns:
      measure name -> Interval, in the order of ``measures.measure_terms``.

    Raises:
      ValueError: ``samples`` below 1 or ``level`` outside (0, 1).
    """
    _check(level)
    drawn = draw(results, samples=samples, seed=seed)
    return {measure: drawn.interval(measure, level) for measure in drawn.observed}


def paired_difference(
    reference: Sequence[SliceResult],
    other: Sequence[SliceResult],
    *,
    measure: str = "dice2",
    reference_name: str = "baseline",
    other_name: str,
    samples: int = SAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> PairedDifference:
    """Difference of a measure, ``other`` minus ``reference``, every resample shared by both.

    Raises:
      ValueError: the two did not predict the same slices, the measure is unknown, ``samples``
        below 1 or ``level`` outside (0, 1).
    """
    _check(level)
    check_same_images(reference, other, reference_name, other_name)
    terms = [measure_terms(results) for results in (reference, other)]
    if measure not in terms[0]:
        raise ValueError(f"no measure {measure!r}; there are {', '.join(terms[0])}")
    first, second = (
        draw(results, {measure: of_all[measure]}, samples=samples, seed=seed)
        for results, of_all in zip((reference, other), terms, strict=True)
    )
    return PairedDifference(
        measure, other_name, reference_name, second.minus(first, measure, level)
    )


def check_same_images(
    reference: Sequence[SliceResult],
    other: Sequence[SliceResult],
    reference_name: str,
    other_name: str,
) -> None:
    """Raises ``ValueError`` where two protocols did not predict the same slices."""
    first, second = {r.image for r in reference}, {r.image for r in other}
    if first != second:
        raise ValueError(
            f"expected {reference_name} and {other_name} to have predicted the same slices; got "
            f"{len(first - second)} only in the first and {len(second - first)} only in the "
            "second. Evaluate both on the same folds."
        )


def _resamples(units: Units, samples: int, seed: int) -> Iterator[Draw]:
    """Weights of each patient and each network, a chunk of resamples at a time.

    A fold keeps its number of networks: S-1 are drawn, and each weighs S/(S-1).

    Patients and networks have streams of their own, so that protocols with other networks still
    share their patients.
    """
    of_patients, of_networks = (np.random.default_rng((seed, stream)) for stream in (0, 1))
    folds = [fold for fold, _ in units.networks]
    chunk = max(1, _WEIGHTS // max(len(units.cells[0]), 1))
    for start in range(0, samples, chunk):
        size = min(chunk, samples - start)
        networks = np.ones((size, len(folds)))
        for fold in dict.fromkeys(folds):
            members = [place for place, name in enumerate(folds) if name == fold]
            draws = len(members) - 1
            if draws:
                counts = _counts(of_networks, len(members), size, draws)
                networks[:, members] = counts * (len(members) / draws)
        patients = len(units.patients)
        yield Draw(_counts(of_patients, patients, size, patients), networks)


def _counts(generator: np.random.Generator, members: int, samples: int, draws: int) -> np.ndarray:
    """How often each of some members is drawn in so many draws: float64 [samples, members]."""
    if members == 0:
        return np.zeros((samples, 0))
    shares = np.full(members, 1.0 / members)
    return generator.multinomial(draws, shares, size=samples).astype(np.float64)


def _interval(value: float | None, drawn: np.ndarray, carriers: int, level: float) -> Interval:
    defined = drawn[~np.isnan(drawn)]
    if value is None or carriers < 2 or defined.size == 0:
        return Interval(value, None, None, 0, carriers)
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high), int(defined.size), carriers)


def _check(level: float) -> None:
    if not 0.0 < level < 1.0:
        raise ValueError(f"expected a level between 0 and 1; got {level}")

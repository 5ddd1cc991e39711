"""Confidence intervals and paired differences by resampling patients.

Slices of one patient resemble each other, so patients are drawn, never slices: a patient comes
with all slices (and all seeds) or not at all. Every measure is a ratio of sums over images
(``measures.measure_terms``); summed by patient first, a resample is one row of a matrix product.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13, percentile
intervals.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from liver_tf.evaluation.measures import ImageResult, measure_terms, measure_title

SAMPLES = 10_000
LEVEL = 0.95

# Resamples held in memory at once: 2,000 x 1,000 patients is 16 MB.
_CHUNK = 2_000


@dataclass(frozen=True)
class Interval:
    """A measure and its percentile interval.

    Attributes:
      value: the measure on the data themselves; None where it is undefined.
      low, high: ends of the interval. None where ``value`` is undefined and where fewer than two
        patients carry the measure: one patient says nothing about patients.
      samples: resamples in which the measure was defined, and from which the ends were taken.
    """

    value: float | None
    low: float | None
    high: float | None
    samples: int

    @property
    def holds_zero(self) -> bool:
        """Whether zero lies in the interval; True where there is no interval."""
        return self.low is None or self.high is None or self.low <= 0.0 <= self.high


@dataclass(frozen=True)
class PairedDifference:
    """One measure of ``protocol`` minus that of ``reference`` on the same patients."""

    measure: str
    protocol: str
    reference: str
    interval: Interval

    def verdict(self) -> str:
        """One sentence that claims no more than the interval allows."""
        subject = f"{measure_title(self.measure)} of {self.protocol} against {self.reference}"
        if self.interval.value is None:
            return f"{subject}: undefined on these data"
        if self.interval.low is None:
            return f"{subject}: no difference shown (too few patients for an interval)"
        if self.interval.holds_zero:
            return f"{subject}: no difference shown"
        return f"{subject}: {'higher' if self.interval.value > 0 else 'lower'}"


def intervals(
    results: Sequence[ImageResult],
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
    _check(samples, level)
    sums = _PatientSums.of(results)
    drawn = np.concatenate(
        [sums.ratios(counts) for counts in _resamples(len(sums.patients), samples, seed)]
    )
    observed = {name: terms.value() for name, terms in measure_terms(results).items()}
    return {
        name: _interval(observed[name], drawn[:, k], sums.carriers[k], level)
        for k, name in enumerate(sums.measures)
    }


def paired_difference(
    reference: Sequence[ImageResult],
    other: Sequence[ImageResult],
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
    _check(samples, level)
    _check_same_images(reference, other, reference_name, other_name)
    first, second = _PatientSums.of(reference), _PatientSums.of(other)
    if measure not in first.measures:
        raise ValueError(f"no measure {measure!r}; there are {', '.join(first.measures)}")
    column = first.measures.index(measure)
    drawn = np.concatenate(
        [
            second.ratios(counts)[:, column] - first.ratios(counts)[:, column]
            for counts in _resamples(len(first.patients), samples, seed)
        ]
    )
    before = measure_terms(reference)[measure].value()
    after = measure_terms(other)[measure].value()
    value = None if before is None or after is None else after - before
    carriers = min(first.carriers[column], second.carriers[column])
    return PairedDifference(
        measure, other_name, reference_name, _interval(value, drawn, carriers, level)
    )


@dataclass(frozen=True)
class _PatientSums:
    """Sums by patient of what every measure divides.

    ``numerators`` and ``denominators`` are float64 [patients, measures]; ``carriers`` is the
    number of patients with a denominator above zero, by measure.
    """

    patients: tuple[str, ...]
    measures: tuple[str, ...]
    numerators: np.ndarray
    denominators: np.ndarray
    carriers: tuple[int, ...]

    @classmethod
    def of(cls, results: Sequence[ImageResult]) -> _PatientSums:
        patients = tuple(sorted({r.patient for r in results}))
        place = {patient: k for k, patient in enumerate(patients)}
        rows = np.fromiter((place[r.patient] for r in results), dtype=np.int64)
        terms = measure_terms(results)

        def by_patient(values: list[np.ndarray]) -> np.ndarray:
            sums = np.zeros((len(patients), len(values)))
            for column, weights in enumerate(values):
                np.add.at(sums[:, column], rows, weights)
            return sums

        denominators = by_patient([t.denominator for t in terms.values()])
        return cls(
            patients,
            tuple(terms),
            by_patient([t.numerator for t in terms.values()]),
            denominators,
            tuple(int(n) for n in (denominators > 0).sum(axis=0)),
        )

    def ratios(self, counts: np.ndarray) -> np.ndarray:
        """Measures of resamples; counts [samples, patients] -> [samples, measures], NaN for 0/0."""
        above, below = counts @ self.numerators, counts @ self.denominators
        return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)


def _resamples(patients: int, samples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each patient was drawn: float64 [chunk, patients] at a time."""
    generator = np.random.default_rng(seed)
    for start in range(0, samples, _CHUNK):
        size = min(_CHUNK, samples - start)
        if patients == 0:
            yield np.zeros((size, 0))
        else:
            shares = np.full(patients, 1.0 / patients)
            yield generator.multinomial(patients, shares, size=size).astype(np.float64)


def _interval(value: float | None, drawn: np.ndarray, carriers: int, level: float) -> Interval:
    defined = drawn[~np.isnan(drawn)]
    if value is None or carriers < 2 or defined.size == 0:
        return Interval(value, None, None, 0)
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high), int(defined.size))


def _check(samples: int, level: float) -> None:
    if samples < 1 or not 0.0 < level < 1.0:
        raise ValueError(
            f"expected at least 1 sample and a level between 0 and 1; got {samples} and {level}"
        )


def _check_same_images(
    reference: Sequence[ImageResult],
    other: Sequence[ImageResult],
    reference_name: str,
    other_name: str,
) -> None:
    first, second = {r.image for r in reference}, {r.image for r in other}
    if first != second:
        raise ValueError(
            f"expected {reference_name} and {other_name} to have predicted the same slices; got "
            f"{len(first - second)} only in the first and {len(second - first)} only in the "
            "second. Evaluate both on the same folds."
        )

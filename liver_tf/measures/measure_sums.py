"""Measures as sums over slices, so that a bootstrap resample costs one matrix product.

Three forms cover all measures: a ratio of two sums (proportions and means), the proportion of
correctly ordered pairs of slices (area under the ROC curve), and sums by bin (calibration error).
Each is reduced once to a few numbers per patient and network; a resample weights these.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from liver_tf.measures.slice_result import PixelCounts, SliceResult


@dataclass(frozen=True)
class ResamplingUnits:
    """The sorted patients and networks (fold, seed), and their index for each slice (row)."""

    patients: tuple[str, ...]
    networks: tuple[tuple[str, int], ...]
    patient_of: np.ndarray
    network_of: np.ndarray

    @classmethod
    def of(cls, results: Sequence[SliceResult]) -> "ResamplingUnits":
        patients = {name: index for index, name in enumerate(sorted({r.patient for r in results}))}
        networks = {name: index for index, name in enumerate(sorted({r.network for r in results}))}
        return cls(
            tuple(patients),
            tuple(networks),
            np.array([patients[r.patient] for r in results], np.int64),
            np.array([networks[r.network] for r in results], np.int64),
        )

    @cached_property
    def pairs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pairs of patient and network with a slice: patient, network, pair of every row."""
        keys = self.patient_of * max(len(self.networks), 1) + self.network_of
        present, pair_of = np.unique(keys, return_inverse=True)
        return *np.divmod(present, max(len(self.networks), 1)), pair_of

    def by_pair(self, values: np.ndarray) -> np.ndarray:
        """Sums over the rows of each pair: float64 [rows, n] -> [pairs, n]."""
        patients, _, pair_of = self.pairs
        return sums_by_group(values, pair_of, len(patients))

    def by_patient(self, values: np.ndarray) -> np.ndarray:
        """Sums over the rows of each patient: float64 [rows, n] -> [patients, n]."""
        return sums_by_group(values, self.patient_of, len(self.patients))


@dataclass(frozen=True)
class ResampleWeights:
    """How often each patient and network was drawn, as weights: float64 [samples, n] each."""

    patients: np.ndarray
    networks: np.ndarray

    def of_pairs(self, units: ResamplingUnits) -> np.ndarray:
        """Weight of every pair of patient and network, float64 [samples, pairs]."""
        patient, network, _ = units.pairs
        weights: np.ndarray = self.patients[:, patient] * self.networks[:, network]
        return weights


#: Takes resample weights and their pair weights; returns the measure, float64 [samples].
ResampledMeasure = Callable[[ResampleWeights, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class RatioSums:
    """A measure that is the ratio of two sums, float64 [rows] each.

    ``bootstrap_intervals`` resamples all ratios together.
    """

    numerator: np.ndarray
    denominator: np.ndarray

    @classmethod
    def mean(cls, values: Iterable[float | None]) -> "RatioSums":
        """Mean over the slices for which the value is defined."""
        values = list(values)
        return cls(column(v or 0.0 for v in values), column(v is not None for v in values))

    @classmethod
    def pooled_dice(cls, counts: Sequence[PixelCounts]) -> "RatioSums":
        """Dice of the pixels of all slices together."""
        return cls(
            column(2.0 * c.both for c in counts), column(c.true + c.predicted for c in counts)
        )

    def weighted(self, weights: np.ndarray) -> "RatioSums":
        """The same measure with weighted rows."""
        return RatioSums(self.numerator * weights, self.denominator * weights)

    def value(self) -> float | None:
        """The measure over all slices; None if the denominator is zero."""
        below = self.denominator.sum()
        return float(self.numerator.sum() / below) if below else None

    def contributing_patients(self, units: ResamplingUnits) -> int:
        """Number of patients with a slice in the denominator."""
        return _patients_with(units, self.denominator)


@dataclass(frozen=True)
class RankingSums:
    """Area under the ROC curve: proportion of correctly ordered pairs of a positive and a negative.

    Equal scores count half. Only slices scored by the same network are compared, because the scores
    of two networks have no common scale.

    Attributes:
      scores: float64 [rows].
      positive: bool [rows].
      weights: float64 [rows]; 0 excludes a slice.
      networks: int64 [rows].
    """

    scores: np.ndarray
    positive: np.ndarray
    weights: np.ndarray
    networks: np.ndarray

    def value(self) -> float | None:
        """The area over all slices; None without positives or without negatives."""
        above = below = 0.0
        for positives, negatives, ordered in self._by_network():
            above += ordered.sum()
            below += self.weights[positives].sum() * len(negatives)
        return float(above / below) if below else None

    def contributing_patients(self, units: ResamplingUnits) -> int:
        """The smaller number of patients: with positive or with negative slices."""
        return min(
            _patients_with(units, self.weights * side) for side in (self.positive, ~self.positive)
        )

    def resampled(self, units: ResamplingUnits) -> ResampledMeasure:
        """The area as a function of resample weights."""
        blocks = []
        for positives, negatives, ordered in self._by_network():
            # Only the patients of the network's fold: all others would be rows of zeros.
            of_up, up = np.unique(units.patient_of[positives], return_inverse=True)
            of_down, down = np.unique(units.patient_of[negatives], return_inverse=True)
            matrix = np.zeros((len(of_up), len(of_down)))
            np.add.at(matrix, (up[:, None], down[None, :]), ordered)
            sizes = np.bincount(up, self.weights[positives]), np.bincount(down).astype(np.float64)
            blocks.append((units.network_of[positives[0]], of_up, of_down, matrix, *sizes))

        def measure(weights: ResampleWeights, pair_weights: np.ndarray) -> np.ndarray:
            del pair_weights
            above, below = np.zeros(len(weights.patients)), np.zeros(len(weights.patients))
            for network, of_up, of_down, matrix, up_sizes, down_sizes in blocks:
                up, down = weights.patients[:, of_up], weights.patients[:, of_down]
                drawn = weights.networks[:, network]
                above += drawn * np.einsum("ij,ij->i", up @ matrix, down)
                below += drawn * (up @ up_sizes) * (down @ down_sizes)
            return divided(above, below)

        return measure

    def _by_network(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """For each network: rows of positives and of negatives, and the order of each pair.

        The order is 1, 0.5 or 0, times the weight of the positive slice.
        """
        for network in np.unique(self.networks):
            here = (self.networks == network) & (self.weights > 0)
            positives = np.flatnonzero(here & self.positive)
            negatives = np.flatnonzero(here & ~self.positive)
            if positives.size and negatives.size:
                gap = self.scores[positives][:, None] - self.scores[negatives][None, :]
                ordered = (gap > 0) + 0.5 * (gap == 0)
                yield positives, negatives, ordered * self.weights[positives][:, None]


@dataclass(frozen=True)
class BinnedSums:
    """Expected calibration error: sum over bins of the absolute sums in them, over a total.

    Attributes:
      numerators: float64 [rows, bins].
      denominator: float64 [rows].
    """

    numerators: np.ndarray
    denominator: np.ndarray

    def value(self) -> float | None:
        """The measure over all slices; None if the denominator is zero."""
        below = self.denominator.sum()
        return float(np.abs(self.numerators.sum(axis=0)).sum() / below) if below else None

    def contributing_patients(self, units: ResamplingUnits) -> int:
        """Number of patients with a slice in the denominator."""
        return _patients_with(units, self.denominator)

    def resampled(self, units: ResamplingUnits) -> ResampledMeasure:
        """The measure as a function of resample weights."""
        sums = units.by_pair(np.concatenate([self.numerators, self.denominator[:, None]], axis=1))

        def measure(weights: ResampleWeights, pair_weights: np.ndarray) -> np.ndarray:
            del weights
            drawn = pair_weights @ sums
            return divided(np.abs(drawn[:, :-1]).sum(axis=1), drawn[:, -1])

        return measure


class ResampledSums(Protocol):
    """A measure that computes its own resamples: ``RankingSums``, ``BinnedSums`` and others."""

    def value(self) -> float | None:
        """The measure over all slices; None if undefined."""

    def contributing_patients(self, units: ResamplingUnits) -> int:
        """Number of patients that contribute to the measure."""

    def resampled(self, units: ResamplingUnits) -> ResampledMeasure:
        """The measure as a function of resample weights."""


MeasureSums = RatioSums | ResampledSums


def sums_by_group(values: np.ndarray, group_of: np.ndarray, groups: int) -> np.ndarray:
    """Sums over the rows of each group: float64 [rows, n] -> [groups, n]."""
    sums = np.zeros((groups, values.shape[1]))
    np.add.at(sums, group_of, values)
    return sums


def column(values: Iterable[float]) -> np.ndarray:
    """One number per slice as float64 [rows]."""
    return np.fromiter(values, dtype=np.float64)


def divided(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Ratios; NaN where the denominator is not positive."""
    ratios: np.ndarray = np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
    return ratios


def _patients_with(units: ResamplingUnits, weights: np.ndarray) -> int:
    return len(np.unique(units.patient_of[weights > 0]))

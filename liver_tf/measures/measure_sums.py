"""Measures as sums over slices, so that a resample of patients costs a matrix product.

Three forms are enough: a ratio of two sums (shares and means), a share of ordered pairs of slices
(the area under a ROC curve), and sums by bin (calibration error). Each is condensed to a few
numbers per patient and network once; a resample weights these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from liver_tf.measures.slice_result import SliceResult


@dataclass(frozen=True)
class Units:
    """What is resampled, and which slice (row) belongs to which.

    Attributes:
      patients: sorted. networks: sorted (fold, seed).
      patient_of, network_of: int64 [rows], places in the two.
    """

    patients: tuple[str, ...]
    networks: tuple[tuple[str, int], ...]
    patient_of: np.ndarray
    network_of: np.ndarray

    @classmethod
    def of(cls, results: Sequence[SliceResult]) -> Units:
        """The patients and networks of slices."""
        patients = tuple(sorted({r.patient for r in results}))
        networks = tuple(sorted({r.network for r in results}))
        patient_place = {patient: place for place, patient in enumerate(patients)}
        network_place = {network: place for place, network in enumerate(networks)}
        return cls(
            patients,
            networks,
            np.array([patient_place[r.patient] for r in results], np.int64),
            np.array([network_place[r.network] for r in results], np.int64),
        )

    @cached_property
    def cells(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pairs of patient and network that have a slice: patient, network, cell of every row."""
        pairs = self.patient_of * max(len(self.networks), 1) + self.network_of
        found, cell_of = np.unique(pairs, return_inverse=True)
        return *np.divmod(found, max(len(self.networks), 1)), cell_of

    def by_cell(self, values: np.ndarray) -> np.ndarray:
        """Sums over the rows of each cell: float64 [rows, n] -> [cells, n]."""
        patients, _, cell_of = self.cells
        sums = np.zeros((len(patients), values.shape[1]))
        np.add.at(sums, cell_of, values)
        return sums

    def by_patient(self, values: np.ndarray) -> np.ndarray:
        """Sums over the rows of each patient: float64 [rows, n] -> [patients, n]."""
        sums = np.zeros((len(self.patients), values.shape[1]))
        np.add.at(sums, self.patient_of, values)
        return sums


@dataclass(frozen=True)
class Draw:
    """Weight of each patient and each network by how often it was drawn: float64 [samples, n]."""

    patients: np.ndarray
    networks: np.ndarray

    def of_cells(self, units: Units) -> np.ndarray:
        """Weight of every cell, float64 [samples, cells]."""
        patient, network, _ = units.cells
        return self.patients[:, patient] * self.networks[:, network]


#: A draw and the weights of its cells in, the measure of each resample out: float64 [samples].
Resampled = Callable[[Draw, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Terms:
    """A measure as the ratio of two sums: float64 [rows] each."""

    numerator: np.ndarray
    denominator: np.ndarray

    def value(self) -> float | None:
        """The measure over all slices; None where the denominator is zero."""
        below = self.denominator.sum()
        return float(self.numerator.sum() / below) if below else None

    def carriers(self, units: Units) -> int:
        """Patients without whom the measure would be another, or none."""
        return _patients_with(units, self.denominator)

    def resampled(self, units: Units) -> Resampled:
        """The measure of any resample."""
        sums = units.by_cell(np.stack([self.numerator, self.denominator], axis=1))

        def of(draw: Draw, cells: np.ndarray) -> np.ndarray:
            above, below = (cells @ sums).T
            return divided(above, below)

        return of


@dataclass(frozen=True)
class PairTerms:
    """Share of pairs of a positive and a negative slice that the scores put in the right order.

    That is the area under the ROC curve; equal scores count half. Only slices that the same
    network scored are compared: scores of two networks have no common scale.

    Attributes:
      scores: float64 [rows]. positive: bool [rows].
      weights: float64 [rows]; 0 leaves a slice out.
      networks: int64 [rows].
    """

    scores: np.ndarray
    positive: np.ndarray
    weights: np.ndarray
    networks: np.ndarray

    def value(self) -> float | None:
        """The area over all slices; None without a positive or without a negative one."""
        above = below = 0.0
        for ups, downs, right in self._blocks():
            above += right.sum()
            below += self.weights[ups].sum() * len(downs)
        return float(above / below) if below else None

    def carriers(self, units: Units) -> int:
        """The lesser count of the patients with positive and with negative slices."""
        return min(
            _patients_with(units, self.weights * side) for side in (self.positive, ~self.positive)
        )

    def resampled(self, units: Units) -> Resampled:
        """The area of any resample."""
        blocks = []
        for ups, downs, right in self._blocks():
            # Only the patients of the network's fold: the others would be rows of zeros.
            of_up, up = np.unique(units.patient_of[ups], return_inverse=True)
            of_down, down = np.unique(units.patient_of[downs], return_inverse=True)
            matrix = np.zeros((len(of_up), len(of_down)))
            np.add.at(matrix, (up[:, None], down[None, :]), right)
            weights = np.bincount(up, self.weights[ups]), np.bincount(down).astype(np.float64)
            blocks.append((units.network_of[ups[0]], of_up, of_down, matrix, *weights))

        def of(draw: Draw, cells: np.ndarray) -> np.ndarray:
            del cells
            above, below = np.zeros(len(draw.patients)), np.zeros(len(draw.patients))
            for network, of_up, of_down, matrix, of_ups, of_downs in blocks:
                up, down = draw.patients[:, of_up], draw.patients[:, of_down]
                drawn = draw.networks[:, network]
                above += drawn * np.einsum("ij,ij->i", up @ matrix, down)
                below += drawn * (up @ of_ups) * (down @ of_downs)
            return divided(above, below)

        return of

    def _blocks(self):
        """By network: rows of positives and of negatives, right order of each pair.

        A pair weighs as much as its positive slice.
        """
        for network in np.unique(self.networks):
            here = (self.networks == network) & (self.weights > 0)
            ups, downs = np.flatnonzero(here & self.positive), np.flatnonzero(here & ~self.positive)
            if ups.size and downs.size:
                gap = self.scores[ups][:, None] - self.scores[downs][None, :]
                yield ups, downs, ((gap > 0) + 0.5 * (gap == 0)) * self.weights[ups][:, None]


@dataclass(frozen=True)
class BinTerms:
    """Sum over bins of the absolute sums in them, by a sum over all: expected calibration error.

    Attributes:
      numerators: float64 [rows, bins]. denominator: float64 [rows].
    """

    numerators: np.ndarray
    denominator: np.ndarray

    def value(self) -> float | None:
        """The measure over all slices; None where the denominator is zero."""
        below = self.denominator.sum()
        return float(np.abs(self.numerators.sum(axis=0)).sum() / below) if below else None

    def carriers(self, units: Units) -> int:
        """Patients with a slice that counts."""
        return _patients_with(units, self.denominator)

    def resampled(self, units: Units) -> Resampled:
        """The measure of any resample."""
        sums = units.by_cell(np.concatenate([self.numerators, self.denominator[:, None]], axis=1))

        def of(draw: Draw, cells: np.ndarray) -> np.ndarray:
            del draw
            drawn = cells @ sums
            return divided(np.abs(drawn[:, :-1]).sum(axis=1), drawn[:, -1])

        return of


AnyTerms = Terms | PairTerms | BinTerms


def divided(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Ratios, NaN where the lower is not above zero."""
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)


def _patients_with(units: Units, weights: np.ndarray) -> int:
    return len(np.unique(units.patient_of[weights > 0]))

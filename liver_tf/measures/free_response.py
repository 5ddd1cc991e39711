"""Free-response measures: lesions found against false lesions, by the scores of the lesions.

The predicted lesions of a network are candidates, ranked by score. At a threshold, a true lesion is
found if its match scores more and has an IoU of at least ``IOU``; every other candidate above the
threshold is a false lesion. Each network has its own threshold, because the scores of two networks
have no common scale.

Source: Bunch et al., "A free-response approach to the measurement and characterization of
radiographic-observer performance", SPIE 127 (1977).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from liver_tf.labels import LIVER
from liver_tf.measures.lesion_matching import IOU_THRESHOLDS, MatchedLesion
from liver_tf.measures.measure_sums import (
    ResampledMeasure,
    ResampleWeights,
    ResamplingUnits,
    divided,
)
from liver_tf.measures.size_bins import size_bin
from liver_tf.measures.slice_result import SliceResult, class_names

#: IoU from which a true lesion counts as found.
IOU = IOU_THRESHOLDS[0]

#: False lesions per slice at which the sensitivity is given: measure -> rate.
RATES = {"lesion_sensitivity_at_0.1": 0.1, "lesion_sensitivity_at_1": 1.0}

AVERAGE_PRECISION = "lesion_average_precision"

#: Rates of the points of a free-response curve.
CURVE_RATES = tuple(np.geomspace(0.01, 10.0, 31).round(4).tolist())


@dataclass(frozen=True)
class _Candidates:
    """The lesions of one network that scores rank, highest first.

    Attributes:
      rows: its slices.
      weight: of each of its slices.
      hits: true lesions that are found.
      false_scores: float64 [false lesions]; ``false_patients`` int64 of the same length.
    """

    rows: np.ndarray
    weight: float
    hits: tuple[tuple[MatchedLesion, int], ...]
    false_scores: np.ndarray
    false_patients: np.ndarray


class Rankings:
    """The ranked lesions of several networks, shared by all free-response measures.

    The sums of a resample over the false lesions are kept for the next measure of that resample.

    Args:
      results: slices of one or several networks; all predicted lesions have scores.
      weights: float64 [slices], the same for all slices of a network.
    """

    def __init__(self, results: Sequence[SliceResult], weights: np.ndarray) -> None:
        self.results = results
        self.units = units = ResamplingUnits.of(results)
        self.networks: list[_Candidates] = []
        for network in range(len(units.networks)):
            rows = np.flatnonzero(units.network_of == network)
            of = [(results[int(row)], int(units.patient_of[row])) for row in rows]
            hits = [(x, p) for r, p in of for x in r.true_lesions if x.iou >= IOU]
            false = [(x, p) for r, p in of for x in r.found_lesions if x.iou < IOU]
            ranked = tuple(sorted(hits, key=_by_score))
            candidates = _scores_and_patients(sorted(false, key=_by_score))
            self.networks.append(_Candidates(rows, float(weights[rows[0]]), ranked, *candidates))
        self._weights: ResampleWeights | None = None
        self._wrong: list[np.ndarray] = []

    def wrong(self, weights: ResampleWeights) -> list[np.ndarray]:
        """For each network the drawn number of its first 0, 1, 2, ... false lesions.

        Each float32 [samples, false lesions + 1]: exact for counts.
        """
        if self._weights is not weights:
            patients = weights.patients.astype(np.float32)
            self._wrong = [_sums(patients[:, n.false_patients]) for n in self.networks]
            self._weights = weights
        return self._wrong

    def most_false_per_slice(self) -> float:
        """False lesions per slice, without a threshold, of the network that has most of them."""
        return max((len(n.false_scores) / len(n.rows) for n in self.networks), default=0.0)


@dataclass(frozen=True)
class FreeResponseSums:
    """Sensitivity for lesions at a rate of false lesions per slice, or average precision.

    Attributes:
      rate: at most so many false lesions per slice; None for the average precision, the sum over
        the lesions found of the precision at their score, over the number of true lesions.
      counts: which true lesions count; false lesions always count.
    """

    rankings: Rankings
    rate: float | None
    counts: Callable[[MatchedLesion], bool] = lambda lesion: True

    def value(self) -> float | None:
        """The measure over all slices; None without a true lesion."""
        units = self.rankings.units
        ones = (np.ones((1, len(names))) for names in (units.patients, units.networks))
        value = float(self._measure(ResampleWeights(*ones))[0])
        return None if np.isnan(value) else value

    def contributing_patients(self, units: ResamplingUnits) -> int:
        """Number of patients with a true lesion that counts."""
        del units
        slices = self.rankings.results
        return len({r.patient for r in slices if any(map(self.counts, r.true_lesions))})

    def resampled(self, units: ResamplingUnits) -> ResampledMeasure:
        """The measure as a function of resample weights."""
        del units

        def measure(weights: ResampleWeights, pair_weights: np.ndarray) -> np.ndarray:
            del pair_weights
            return self._measure(weights)

        return measure

    def _measure(self, weights: ResampleWeights) -> np.ndarray:
        units, results = self.rankings.units, self.rankings.results
        above, below = np.zeros((2, len(weights.patients)))
        wrong_of = self.rankings.wrong(weights)
        for network, (own, wrong) in enumerate(zip(self.rankings.networks, wrong_of, strict=True)):
            patient = units.patient_of[own.rows]
            true = [sum(map(self.counts, results[int(row)].true_lesions)) for row in own.rows]
            drawn = weights.networks[:, network] * own.weight
            below += drawn * (weights.patients[:, patient] @ true)
            hits, of_hits = _scores_and_patients([hit for hit in own.hits if self.counts(hit[0])])
            found = _sums(weights.patients[:, of_hits])
            if self.rate is None:
                true_above = found[:, np.searchsorted(-hits, -hits, side="right")]
                false_above = wrong[:, np.searchsorted(-own.false_scores, -hits, side="right")]
                precision = np.nan_to_num(divided(true_above, true_above + false_above))
                above += drawn * (precision * weights.patients[:, of_hits]).sum(axis=1)
                continue
            slices = weights.patients[:, patient].sum(axis=1)
            allowed = (wrong[:, 1:] <= self.rate * slices[:, None] + 1e-4).sum(axis=1)
            # Hits that score more than the first false lesion that is not allowed; in the end all.
            before = np.append(np.searchsorted(-hits, -own.false_scores, side="left"), len(hits))
            above += drawn * np.take_along_axis(found, before[allowed][:, None], axis=1)[:, 0]
        return divided(above, below)


def free_response_measures(
    results: Sequence[SliceResult], weights: np.ndarray
) -> dict[str, FreeResponseSums]:
    """Average precision, and the sensitivity at ``RATES`` for all lesions and by type.

    Empty if a score is unknown (old results).
    """
    rankings = rank_lesions(results, weights)
    if rankings is None:
        return {}
    measures = {AVERAGE_PRECISION: FreeResponseSums(rankings, None)}
    for name, rate in RATES.items():
        measures[name] = FreeResponseSums(rankings, rate)
        for label, kind in enumerate(class_names(results)[LIVER + 1 :], LIVER + 1):
            measures[f"{name}_{kind}"] = FreeResponseSums(rankings, rate, _of_type(label))
    return measures


def sensitivity_by_size(rankings: Rankings, size: str) -> dict[str, FreeResponseSums]:
    """The sensitivity at ``RATES`` for true lesions of a size bin."""
    return {
        name: FreeResponseSums(rankings, rate, lambda x: size_bin(x.diameter_mm) == size)
        for name, rate in RATES.items()
    }


def free_response_curve(rankings: Rankings) -> dict[float, FreeResponseSums]:
    """The sensitivity by rate, up to the rate at which all networks report all their lesions."""
    end = rankings.most_false_per_slice()
    rates = (*(rate for rate in CURVE_RATES if rate < end), end)
    return {rate: FreeResponseSums(rankings, rate) for rate in rates}


def rank_lesions(results: Sequence[SliceResult], weights: np.ndarray) -> Rankings | None:
    """The ranked lesions; None if the score of a predicted lesion is unknown (old results)."""
    if any(x.score is None for r in results for x in r.found_lesions):
        return None
    return Rankings(results, weights)


def _of_type(label: int) -> Callable[[MatchedLesion], bool]:
    return lambda lesion: lesion.type == label


def _by_score(lesion: tuple[MatchedLesion, int]) -> float:
    return -(lesion[0].score or 0.0)


def _scores_and_patients(
    lesions: Iterable[tuple[MatchedLesion, int]],
) -> tuple[np.ndarray, np.ndarray]:
    """Scores float64 and patients int64 of ranked lesions."""
    ranked = list(lesions)
    return (
        np.array([-_by_score(lesion) for lesion in ranked], np.float64),
        np.array([patient for _, patient in ranked], np.int64),
    )


def _sums(values: np.ndarray) -> np.ndarray:
    """Sums over the first 0, 1, 2, ... columns."""
    zero = np.zeros((len(values), 1), values.dtype)
    return np.concatenate([zero, values.cumsum(axis=1, dtype=values.dtype)], axis=1)

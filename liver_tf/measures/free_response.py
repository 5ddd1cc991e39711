"""Free-response measures: lesions found against false lesions, by the scores of the lesions.

The predicted lesions of a network are candidates, ranked by score. At a threshold, a true lesion is
found if its match scores more and has an IoU of at least ``IOU``; every other candidate above the
threshold is a false lesion. Each network has its own threshold, because the scores of two networks
have no common scale.

Source: Bunch et al., "A free-response approach to the measurement and characterization of
radiographic-observer performance", SPIE 127 (1977).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from liver_tf.measures.lesion_matching import IOU_THRESHOLDS
from liver_tf.measures.measure_sums import (
    ResampledMeasure,
    ResampleWeights,
    ResamplingUnits,
    divided,
)
from liver_tf.measures.slice_result import SliceResult

#: IoU from which a true lesion counts as found.
IOU = IOU_THRESHOLDS[0]

#: False lesions per slice at which the sensitivity is given: measure -> rate.
RATES = {"lesion_sensitivity_at_0.1": 0.1, "lesion_sensitivity_at_1": 1.0}

#: Every measure of this module with its rate.
FREE_RESPONSE: dict[str, float | None] = {"lesion_average_precision": None, **RATES}


@dataclass(frozen=True)
class FreeResponseSums:
    """Sensitivity for lesions at a rate of false lesions per slice, or average precision.

    Attributes:
      results: slices of one or several networks; all predicted lesions have scores.
      weights: float64 [slices], the same for all slices of a network.
      rate: at most so many false lesions per slice; None for the average precision, the sum over
        the lesions found of the precision at their score, over the number of true lesions.
    """

    results: Sequence[SliceResult]
    weights: np.ndarray
    rate: float | None

    def value(self) -> float | None:
        """The measure over all slices; None without a true lesion."""
        units = ResamplingUnits.of(self.results)
        counts = (np.ones((1, len(names))) for names in (units.patients, units.networks))
        value = float(self._measure(ResampleWeights(*counts), units)[0])
        return None if np.isnan(value) else value

    def contributing_patients(self, units: ResamplingUnits) -> int:
        """Number of patients with a true lesion."""
        del units
        return len({r.patient for r in self.results if r.true_lesions})

    def resampled(self, units: ResamplingUnits) -> ResampledMeasure:
        """The measure as a function of resample weights."""

        def measure(weights: ResampleWeights, pair_weights: np.ndarray) -> np.ndarray:
            del pair_weights
            return self._measure(weights, units)

        return measure

    def _measure(self, weights: ResampleWeights, units: ResamplingUnits) -> np.ndarray:
        above, below = np.zeros((2, len(weights.patients)))
        for network in range(len(units.networks)):
            rows = np.flatnonzero(units.network_of == network)
            patient = units.patient_of[rows]
            of = [self.results[int(row)] for row in rows]
            drawn = weights.networks[:, network] * self.weights[rows[0]]
            below += drawn * (weights.patients[:, patient] @ [len(r.true_lesions) for r in of])
            hits, of_hits = _ranked(
                (x.score or 0.0, p)
                for r, p in zip(of, patient, strict=True)
                for x in r.true_lesions
                if x.iou >= IOU
            )
            false, of_false = _ranked(
                (x.score or 0.0, p)
                for r, p in zip(of, patient, strict=True)
                for x in r.found_lesions
                if x.iou < IOU
            )
            found = _sums(weights.patients[:, of_hits])
            wrong = _sums(weights.patients[:, of_false])
            if self.rate is None:
                true_above = found[:, np.searchsorted(-hits, -hits, side="right")]
                false_above = wrong[:, np.searchsorted(-false, -hits, side="right")]
                precision = np.nan_to_num(divided(true_above, true_above + false_above))
                above += drawn * (precision * weights.patients[:, of_hits]).sum(axis=1)
                continue
            slices = weights.patients[:, patient].sum(axis=1)
            allowed = (wrong[:, 1:] <= self.rate * slices[:, None] + 1e-9).sum(axis=1)
            # Hits that score more than the first false lesion that is not allowed; in the end all.
            before = np.append(np.searchsorted(-hits, -false, side="left"), len(hits))
            above += drawn * np.take_along_axis(found, before[allowed][:, None], axis=1)[:, 0]
        return divided(above, below)


def free_response_measures(
    results: Sequence[SliceResult], weights: np.ndarray
) -> dict[str, FreeResponseSums]:
    """``lesion_average_precision`` and ``RATES``; empty if a score is unknown (old results)."""
    found = [x for r in results for x in r.found_lesions]
    if not found or any(x.score is None for x in found):
        return {}
    return {name: FreeResponseSums(results, weights, rate) for name, rate in FREE_RESPONSE.items()}


def _ranked(lesions: Iterable[tuple[float, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Scores, highest first, and the patients of the lesions."""
    ordered = sorted(lesions, key=lambda lesion: -lesion[0])
    return (
        np.array([score for score, _ in ordered], np.float64),
        np.array([patient for _, patient in ordered], np.int64),
    )


def _sums(values: np.ndarray) -> np.ndarray:
    """Sums over the first 0, 1, 2, ... columns."""
    return np.concatenate([np.zeros((len(values), 1)), values.cumsum(axis=1)], axis=1)

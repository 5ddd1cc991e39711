"""Whether a type that is given with 80 % is right in 80 %, and a temperature that makes it so.

The scores of a slice are the mean probabilities of the lesion types over its predicted lesion
pixels, scaled to sum to one. Its confidence is the highest of them, and it is right where that
type is the true one. Slices without a true lesion have no right type, and slices without a
detection make no claim: both are left out.

Source: Guo, Pleiss, Sun, Weinberger, "On calibration of modern neural networks", ICML 2017. There
the temperature divides the logits; scores p are scaled here as softmax(log(p) / T), which for a
single pixel is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from liver_tf.labels import LIVER
from liver_tf.measures.measure_sums import BinTerms
from liver_tf.measures.slice_result import SliceResult

BINS = 10

#: Temperatures are sought between these: with few validation slices, all of them right, the best
#: temperature is zero, which would claim certainty for ever after.
LEAST, MOST = 0.05, 20.0

# The least score: a type that was never considered costs a lot, not infinitely much.
_FLOOR = 1e-12


@dataclass(frozen=True)
class Temperature:
    """A temperature and the slices it was fitted on.

    Attributes:
      value: scores are scaled as softmax(log(score) / value); above 1 softens, below 1 sharpens.
      fitted_on: the part of the split, ``validation``. slices: how many took part.
      cases: pseudonyms of the cases they come from.
      before, after: mean negative log-likelihood of the true type on them, unscaled and scaled.
    """

    value: float
    fitted_on: str
    slices: int
    cases: tuple[str, ...]
    before: float
    after: float

    @property
    def at_bound(self) -> bool:
        """Whether the best value lies beyond what was sought."""
        return not LEAST * 1.01 < self.value < MOST / 1.01


@dataclass(frozen=True)
class ReliabilityBin:
    """Slices whose confidence lies in (low, high].

    Attributes:
      slices: how many, a slice predicted by several seeds counting once in all.
      confidence, right: mean confidence and share right; None for an empty bin.
    """

    low: float
    high: float
    slices: float
    confidence: float | None
    right: float | None


def scaled_scores(scores: np.ndarray, temperature: float) -> np.ndarray:
    """softmax(log(scores) / temperature) over the last axis; float64 of the same shape."""
    return special.softmax(np.log(np.maximum(scores, _FLOOR)) / temperature, axis=-1)


def fit_temperature(
    validation: Sequence[SliceResult], part: str = "validation"
) -> Temperature | None:
    """The temperature that makes the true types of validation slices most likely.

    Args:
      validation: slices on which the choice may be made, never those of the test.
      part: what the slices are, noted in the result.

    Returns:
      None where no slice has a true lesion and scores.
    """
    used = [r for r in validation if r.has_lesion and r.type_scores is not None]
    if not used:
        return None
    logs = np.log(np.maximum([r.type_scores for r in used], _FLOOR))
    true = np.array([r.true_diagnosis - LIVER - 1 for r in used])

    def loss(inverse: float) -> float:
        return float(-special.log_softmax(logs * inverse, axis=1)[range(len(used)), true].mean())

    # In 1 / T the loss is convex: there is one minimum.
    found = optimize.minimize_scalar(
        loss, bounds=(1 / MOST, 1 / LEAST), method="bounded", options={"xatol": 1e-9}
    )
    return Temperature(
        value=float(1 / found.x),
        fitted_on=part,
        slices=len(used),
        cases=tuple(sorted({r.case for r in used})),
        before=loss(1.0),
        after=float(found.fun),
    )


def calibration_terms(
    results: Sequence[SliceResult], weights: np.ndarray, *, scaled: bool
) -> BinTerms:
    """Expected calibration error over ten bins of equal width.

    Args:
      results: slices. weights: float64 [slices], of each in the sums.
      scaled: after the temperature of each slice's run; slices of runs without one are left out.
    """
    confidence, right, used = _claims(results, scaled)
    used = used * weights
    bins = _bin_of(confidence)[:, None] == np.arange(BINS)
    return BinTerms(bins * ((right - confidence) * used)[:, None], used)


def reliability(
    results: Sequence[SliceResult], weights: np.ndarray, *, scaled: bool
) -> tuple[ReliabilityBin, ...]:
    """The reliability curve: confidence and share right, bin by bin. Arguments as above."""
    confidence, right, used = _claims(results, scaled)
    used = used * weights
    bins = []
    for k in range(BINS):
        here = used * (_bin_of(confidence) == k)
        total = float(here.sum())
        bins.append(
            ReliabilityBin(
                k / BINS,
                (k + 1) / BINS,
                total,
                float((confidence * here).sum() / total) if total else None,
                float((right * here).sum() / total) if total else None,
            )
        )
    return tuple(bins)


def _claims(
    results: Sequence[SliceResult], scaled: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Confidence, right (1 or 0) and whether it counts (1 or 0): float64 [slices] each."""
    claims = np.zeros((len(results), 3))
    for row, result in enumerate(results):
        if not result.has_lesion or result.type_scores is None:
            continue
        if scaled and result.temperature is None:
            continue
        scores = np.array(result.type_scores)
        if scaled:
            scores = scaled_scores(scores, result.temperature)
        best = int(scores.argmax())
        claims[row] = scores[best], best + LIVER + 1 == result.true_diagnosis, 1.0
    return tuple(claims.T)


def _bin_of(confidence: np.ndarray) -> np.ndarray:
    # A confidence of 0.6 that rounding has put a little higher still belongs to (0.5, 0.6].
    edges = np.arange(1, BINS) / BINS + 1e-9
    return np.searchsorted(edges, confidence, side="left")

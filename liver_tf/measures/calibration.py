"""Calibration of the lesion type: expected calibration error, reliability, temperature scaling.

The scores of a slice are the mean probabilities of the lesion types over its predicted lesion
pixels, scaled to sum to one. Confidence is the highest score; it is correct if that type is the
true one. Slices without a true lesion and slices without a detection are excluded.

Source: Guo, Pleiss, Sun, Weinberger, "On calibration of modern neural networks", ICML 2017, which
divides the logits by the temperature. Scores p are scaled here as softmax(log(p) / T), which is the
same for a single pixel.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from liver_tf.labels import LIVER
from liver_tf.measures.measure_sums import BinnedSums
from liver_tf.measures.slice_result import SliceResult

BINS = 10

#: Search range of the temperature. If all slices of a small sample are correct, the optimum is
#: zero, which would make every later score 0 or 1.
LOWEST, HIGHEST = 0.05, 20.0

# Lower bound of a score, so that the log-likelihood stays finite.
_FLOOR = 1e-12


@dataclass(frozen=True)
class Temperature:
    """A temperature and the slices it was fitted on.

    Attributes:
      value: above 1 softens the scores, below 1 sharpens them.
      fitted_on: part of the split, ``validation`` or ``test fold``.
      slices: number of slices.
      cases: pseudonyms of their cases.
      before: mean negative log-likelihood of the true type, unscaled; ``after``: scaled.
    """

    value: float
    fitted_on: str
    slices: int
    cases: tuple[str, ...]
    before: float
    after: float

    @property
    def at_bound(self) -> bool:
        """Whether the optimum lies at a limit of the search range."""
        return not LOWEST * 1.01 < self.value < HIGHEST / 1.01


@dataclass(frozen=True)
class ReliabilityBin:
    """Slices with a confidence in (low, high].

    Attributes:
      slices: number of slices; a slice predicted by several seeds counts once in total.
      confidence: mean confidence; None for an empty bin.
      right: proportion of correct types; None for an empty bin.
    """

    low: float
    high: float
    slices: float
    confidence: float | None
    right: float | None


def scaled_scores(scores: np.ndarray, temperature: float) -> np.ndarray:
    """softmax(log(scores) / temperature) over the last axis; float64 of the same shape."""
    scaled: np.ndarray = special.softmax(np.log(np.maximum(scores, _FLOOR)) / temperature, axis=-1)
    return scaled


def fit_temperature(
    validation: Sequence[SliceResult], part: str = "validation"
) -> Temperature | None:
    """The temperature that maximises the likelihood of the true types.

    ``validation`` holds slices of validation patients, never of test patients; ``part`` is
    recorded in the result. None if no slice has a true lesion and scores.
    """
    used = [
        (r.type_scores, r.true_diagnosis - LIVER - 1, r.case)
        for r in validation
        if r.true_diagnosis is not None and r.type_scores is not None
    ]
    if not used:
        return None
    logs = np.log(np.maximum(np.array([scores for scores, _, _ in used]), _FLOOR))
    true = np.array([label for _, label, _ in used])

    def loss(inverse: float) -> float:
        return float(-special.log_softmax(logs * inverse, axis=1)[range(len(used)), true].mean())

    # The loss is convex in 1 / T.
    best = optimize.minimize_scalar(
        loss, bounds=(1 / HIGHEST, 1 / LOWEST), method="bounded", options={"xatol": 1e-9}
    )
    return Temperature(
        value=float(1 / best.x),
        fitted_on=part,
        slices=len(used),
        cases=tuple(sorted({case for _, _, case in used})),
        before=loss(1.0),
        after=float(best.fun),
    )


def calibration_error(
    results: Sequence[SliceResult], weights: np.ndarray, *, scaled: bool
) -> BinnedSums:
    """Expected calibration error over ten bins of equal width; ``weights``: float64 [slices].

    ``scaled`` scales the scores with the temperature of each slice's run; slices of runs without a
    temperature are excluded.
    """
    confidence, right, used = _confidences(results, weights, scaled)
    bins = _bin_of(confidence)[:, None] == np.arange(BINS)
    return BinnedSums(bins * ((right - confidence) * used)[:, None], used)


def reliability(
    results: Sequence[SliceResult], weights: np.ndarray, *, scaled: bool
) -> tuple[ReliabilityBin, ...]:
    """The reliability curve by bin. Arguments as in ``calibration_error``."""
    confidence, right, used = _confidences(results, weights, scaled)
    bins = []
    for k in range(BINS):
        here = used * (_bin_of(confidence) == k)
        total = float(here.sum())
        means = (float((v * here).sum() / total) if total else None for v in (confidence, right))
        bins.append(ReliabilityBin(k / BINS, (k + 1) / BINS, total, *means))
    return tuple(bins)


def _confidences(
    results: Sequence[SliceResult], weights: np.ndarray, scaled: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Confidence, correct (1 or 0) and weight (0 if excluded): float64 [slices] each."""
    table = np.zeros((3, len(results)))
    for k, result in enumerate(results):
        if not result.has_lesion or result.type_scores is None:
            continue
        scores = np.array(result.type_scores)
        if scaled:
            if result.temperature is None:
                continue
            scores = scaled_scores(scores, result.temperature)
        best = int(scores.argmax())
        table[:, k] = scores[best], best + LIVER + 1 == result.true_diagnosis, 1.0
    return table[0], table[1], table[2] * weights


def _bin_of(confidence: np.ndarray) -> np.ndarray:
    # The tolerance keeps a confidence of 0.6 + rounding error in (0.5, 0.6].
    edges = np.arange(1, BINS) / BINS + 1e-9
    return np.searchsorted(edges, confidence, side="left")

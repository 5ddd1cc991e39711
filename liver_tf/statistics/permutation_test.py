"""Whether two protocols differ on the same patients: a permutation test, and many of them.

If the protocols were alike, exchanging their results for a patient would change nothing. So for
every patient the two are exchanged or not, at random, for all slices and all seeds of the patient
at once (seeds averaged before), and the difference is taken anew; p is the share of exchanges whose
difference is at least as far from zero as the observed one. For a mean over patients with equally
many slices this is the sign-flip test; written with sums it holds for every ratio.

The test is about patients: it asks whether these trained networks differ, not whether another
training would. The interval of ``bootstrap`` takes the seeds in as well; a difference is called
one only where both agree.

Source: Good, "Permutation, Parametric and Bootstrap Tests of Hypotheses" (2005), chapter 3; Holm,
"A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6
(1979).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from liver_tf.measures.measure_sums import Terms, Units, divided
from liver_tf.statistics.bootstrap_intervals import SAMPLES

_CHUNK = 2_000


@dataclass(frozen=True)
class ExchangeTest:
    """Outcome of a permutation test.

    Attributes:
      p: two-sided. exchanges: that were made.
      exact: whether these were all that there are, none twice.
    """

    p: float
    exchanges: int
    exact: bool


def exchange_test(
    reference: Terms,
    other: Terms,
    reference_units: Units,
    other_units: Units,
    *,
    permutations: int = SAMPLES,
    seed: int = 0,
) -> ExchangeTest | None:
    """Two-sided test of a difference between two protocols on the same patients.

    Args:
      reference, other: the measure of each. reference_units, other_units: whose slices they are.
      permutations: random ones; where all exchanges of the patients are no more, all are taken
        and p is exact, else the observed one is counted among them (p is never 0).

    Returns:
      None where the measure is undefined for one of the two. An exchange that leaves it undefined
      counts as one further from zero.

    Raises:
      ValueError: the patients differ, or ``permutations`` is below 1.
    """
    if reference_units.patients != other_units.patients:
        raise ValueError("expected two protocols on the same patients; got others")
    if permutations < 1:
        raise ValueError(f"expected at least 1 permutation; got {permutations}")
    first, second = (
        units.by_patient(np.stack([terms.numerator, terms.denominator], axis=1))
        for terms, units in ((reference, reference_units), (other, other_units))
    )
    if not (first[:, 1].sum() and second[:, 1].sum()):
        return None
    change = second - first
    # Patients whose exchange changes nothing double every permutation, and tell nothing.
    change = change[(change != 0).any(axis=1)]
    totals = first.sum(axis=0), second.sum(axis=0)
    observed = abs(_difference(np.zeros((1, len(change))), change, *totals)[0])
    exact = 2 ** len(change) <= permutations
    further = count = 0
    for exchanged in _exchanges(len(change), permutations, seed, exact=exact):
        found = np.abs(_difference(exchanged, change, *totals))
        # Rounding must not put an equal difference on the near side.
        further += int((~(found < observed * (1 - 1e-9) - 1e-12)).sum())
        count += len(exchanged)
    p = further / count if exact else (further + 1) / (count + 1)
    return ExchangeTest(p, count, exact)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """p values corrected for their number after Holm; None stays None and is not counted."""
    known = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    least = 0.0
    for rank, (p, place) in enumerate(known):
        least = max(least, min(1.0, p * (len(known) - rank)))
        corrected[place] = least
    return corrected


def _difference(
    exchanged: np.ndarray, change: np.ndarray, first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """Measure of the second minus that of the first after exchanges, float64 [permutations]."""
    moved = exchanged @ change
    ratios = [divided(total[:, 0], total[:, 1]) for total in (second - moved, first + moved)]
    return ratios[0] - ratios[1]


def _exchanges(patients: int, permutations: int, seed: int, *, exact: bool):
    """Whether each patient is exchanged: float64 [chunk, patients] of 0 and 1 at a time."""
    if exact:
        every = np.arange(2**patients)[:, None] >> np.arange(patients) & 1
        yield every.astype(np.float64)
        return
    generator = np.random.default_rng((seed, 2))
    for start in range(0, permutations, _CHUNK):
        size = (min(_CHUNK, permutations - start), patients)
        yield generator.integers(0, 2, size).astype(np.float64)

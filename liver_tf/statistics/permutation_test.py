"""Permutation test of two protocols on the same patients, and Holm's correction.

If two protocols are equivalent, their results can be exchanged for any patient. For each patient,
all results of the two are exchanged or not, at random (seeds averaged before), and the difference
is recomputed; p is the proportion of permutations whose difference is at least as far from zero as
the observed one. For a mean over patients with equally many slices this is the sign-flip test.

The test asks whether these trained networks differ, not whether new trainings would. The bootstrap
interval includes the variance between seeds; a difference counts as shown only if both agree and
there are enough seeds (``paired_difference``).

Source: Good, "Permutation, Parametric and Bootstrap Tests of Hypotheses" (2005), chapter 3; Holm,
"A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6
(1979).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from liver_tf.measures.measure_sums import RatioSums, ResamplingUnits, divided
from liver_tf.statistics.resample_count import SAMPLES

_CHUNK = 2_000


@dataclass(frozen=True)
class PermutationTest:
    """A two-sided p value, the number of permutations, and whether these were all possible ones."""

    p: float
    exchanges: int
    exact: bool


def permutation_test(
    reference: RatioSums,
    other: RatioSums,
    reference_units: ResamplingUnits,
    other_units: ResamplingUnits,
    *,
    permutations: int = SAMPLES,
    seed: int = 0,
) -> PermutationTest | None:
    """Two-sided test of a difference between two protocols on the same patients.

    Args:
      permutations: number of random permutations. If there are no more than this in total, all are
        used and p is exact; otherwise the observed arrangement is counted among them, so that p
        is never 0.

    Returns:
      None if the measure is undefined for one of the two. A permutation that makes it undefined
      counts as farther from zero.

    Raises:
      ValueError: the patients differ, or ``permutations`` is below 1.
    """
    if reference_units.patients != other_units.patients:
        raise ValueError("expected two protocols on the same patients; found different patients")
    if permutations < 1:
        raise ValueError(f"expected at least 1 permutation; found {permutations}")
    first, second = (
        units.by_patient(np.stack([sums.numerator, sums.denominator], axis=1))
        for sums, units in ((reference, reference_units), (other, other_units))
    )
    if not (first[:, 1].sum() and second[:, 1].sum()):
        return None
    change = second - first
    # Exchanging patients without a change would only duplicate permutations.
    change = change[(change != 0).any(axis=1)]
    totals = first.sum(axis=0), second.sum(axis=0)
    observed = abs(_difference(np.zeros((1, len(change))), change, *totals)[0])
    exact = 2 ** len(change) <= permutations
    farther = count = 0
    for exchanged in _exchanges(len(change), permutations, seed, exact=exact):
        differences = np.abs(_difference(exchanged, change, *totals))
        # The tolerance counts equal differences in spite of rounding; NaN counts as farther.
        farther += int((~(differences < observed * (1 - 1e-9) - 1e-12)).sum())
        count += len(exchanged)
    p = farther / count if exact else (farther + 1) / (count + 1)
    return PermutationTest(p, count, exact)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """p values after Holm's correction; None stays None and is not counted."""
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
    after, before = (divided(t[:, 0], t[:, 1]) for t in (second - moved, first + moved))
    difference: np.ndarray = after - before
    return difference


def _exchanges(patients: int, permutations: int, seed: int, *, exact: bool) -> Iterator[np.ndarray]:
    """Whether each patient is exchanged: float64 [chunk, patients] of 0 and 1 at a time."""
    if exact:
        every = np.arange(2**patients)[:, None] >> np.arange(patients) & 1
        yield every.astype(np.float64)
        return
    generator = np.random.default_rng((seed, 2))
    for start in range(0, permutations, _CHUNK):
        size = (min(_CHUNK, permutations - start), patients)
        yield generator.integers(0, 2, size).astype(np.float64)

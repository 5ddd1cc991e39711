"""The outcome of comparing two protocols, and the rule for calling it a difference."""

from dataclasses import dataclass

from liver_tf.measures.measure_registry import measure_title
from liver_tf.statistics.bootstrap_intervals import Interval

#: Significance level of the corrected p value.
SIGNIFICANT = 0.05

#: Trainings (seeds per fold) from which a difference can count as shown: fewer say little about the
#: variance between trainings (``benchmarks/coverage.py``).
LEAST_TRAININGS = 3

OBSERVED = {1: "observed, one training", 2: "observed, two trainings"}


@dataclass(frozen=True)
class PairedDifference:
    """A measure of ``protocol`` minus that of ``reference`` on the same patients.

    Attributes:
      p: p value of the permutation test; None if not tested.
      p_holm: the same after Holm's correction over all comparisons of the report.
      patients: compared patients that contribute to the measure.
      networks: networks (fold and seed) that both protocols have.
      exchanges: number of permutations behind p.
      exact: whether these were all possible permutations.
      trainings: seeds that both protocols have, in the fold with the fewest.
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
    trainings: int = 1

    @property
    def shown(self) -> str:
        """``higher``, ``higher (observed, one training)``, or why no difference is shown."""
        if self.direction is not None:
            return self.direction + ("" if self.is_shown else f" ({OBSERVED[self.trainings]})")
        if self.networks == 0:
            return "not compared (no fold and seed in common)"
        if self.interval.value is None:
            return "undefined on these data"
        if self.interval.low is None or self.interval.of_few:
            return "no difference shown (too few patients for an interval)"
        if self.interval.holds_zero:
            return "no difference shown"
        return "no difference shown after correction"

    @property
    def direction(self) -> str | None:
        """``higher`` or ``lower`` if interval and p value agree on it, shown or only observed."""
        interval = self.interval
        if self.networks == 0 or interval.value is None or interval.of_few or interval.holds_zero:
            return None
        if self.p_holm is not None and self.p_holm >= SIGNIFICANT:
            return None
        return "higher" if interval.value > 0 else "lower"

    @property
    def is_shown(self) -> bool:
        return self.direction is not None and self.trainings >= LEAST_TRAININGS

    @property
    def brief(self) -> str:
        """``shown`` where there is little space: without the reason in parentheses."""
        if self.direction is not None and not self.is_shown:
            return f"{self.direction}, observed"
        return self.shown.split(" (")[0]

    def verdict(self) -> str:
        """The comparison and its outcome in one line."""
        title = measure_title(self.measure)
        return f"{title} of {self.protocol} against {self.reference}: {self.shown}"

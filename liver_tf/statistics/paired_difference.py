"""The outcome of comparing two protocols, and the rule for calling it a difference."""

from dataclasses import dataclass

from liver_tf.measures.measure_registry import measure_title
from liver_tf.statistics.bootstrap_intervals import Interval

#: Significance level of the corrected p value.
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class PairedDifference:
    """A measure of ``protocol`` minus that of ``reference`` on the same patients.

    Attributes:
      p: p value of the permutation test; None if not tested.
      p_holm: the same after Holm's correction over all comparisons of this measure.
      patients: compared patients that contribute to the measure.
      networks: networks (fold and seed) that both protocols have.
      exchanges: number of permutations behind p.
      exact: whether these were all possible permutations.
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

    @property
    def shown(self) -> str:
        """``higher``, ``lower``, or why no difference is shown."""
        if self.networks == 0:
            return "not compared (no fold and seed in common)"
        if self.interval.value is None:
            return "undefined on these data"
        if self.interval.low is None or self.interval.of_few:
            return "no difference shown (too few patients for an interval)"
        if self.interval.holds_zero:
            return "no difference shown"
        if self.p_holm is not None and self.p_holm >= SIGNIFICANT:
            return "no difference shown after correction"
        return "higher" if self.interval.value > 0 else "lower"

    @property
    def is_shown(self) -> bool:
        return self.shown in ("higher", "lower")

    def verdict(self) -> str:
        """The comparison and its outcome in one line."""
        title = measure_title(self.measure)
        return f"{title} of {self.protocol} against {self.reference}: {self.shown}"

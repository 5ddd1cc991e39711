"""The planned comparisons of the order study, computed from the results of its runs.

docs/results/order_protocol.md fixes them; a replicate is one observation.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from liver_tf.measures.measure_registry import summarise
from liver_tf.results.stored_results import has_results, load_results
from liver_tf.statistics.paired_t import LEVEL, PairedT, paired_t
from liver_tf.statistics.permutation_test import holm
from liver_tf.studies.order.order_arms import arms_of
from liver_tf.studies.order.order_folders import run_of
from liver_tf.studies.order.order_runs import BY_TYPE, MEASURES, REPORTED, Values, read_runs
from liver_tf.studies.order.order_settings import OrderStudySettings
from liver_tf.studies.order.order_study import cells_of


@dataclass(frozen=True)
class Comparison:
    """First minus second arm, and the question that the difference answers."""

    first: str
    second: str
    question: str


PRIMARY_COMPARISONS = (
    Comparison("c_unfreezing", "e_random", "order of unfreezing: paper's against random"),
    Comparison("f_freezing", "a_restarts", "freezing against restarts alone"),
)
SECONDARY_COMPARISONS = (
    Comparison("c_unfreezing", "d_reverse", "order of unfreezing: paper's against reverse"),
    Comparison("c_unfreezing", "a6_restarts", "unfreezing against restarts alone"),
    Comparison("e_random", "a6_restarts", "unfreezing in random order against restarts alone"),
    Comparison("g_encoder_frozen", "a6_restarts", "encoder frozen throughout"),
    Comparison("a_restarts", "b_one_cosine", "restarts against one cycle"),
    Comparison("j_discriminative", "a_restarts", "discriminative learning rates"),
    Comparison("f_freezing", "j_discriminative", "freezing against discriminative rates"),
    Comparison("a_fixed_statistics", "a_restarts", "statistics fixed: nothing frozen"),
    Comparison("c_fixed_statistics", "c_unfreezing", "statistics fixed: unfreezing"),
    Comparison("f_fixed_statistics", "f_freezing", "statistics fixed: freezing"),
    Comparison("f_fixed_statistics", "a_fixed_statistics", "freezing, both with fixed statistics"),
    Comparison("a_restarts", "h_scratch", "pre-training, equal steps"),
    Comparison("a_restarts", "i_scratch_4x", "pre-training against 4 times the steps"),
    Comparison("i_scratch_4x", "h_scratch", "4 times the steps from scratch"),
)


@dataclass(frozen=True)
class Effect:
    """A comparison in one measure with a number of training patients.

    Attributes:
      p_holm, p_equivalence_holm: p values of ``test`` after Holm's correction in the family.
    """

    comparison: Comparison
    measure: str
    patients: int
    test: PairedT
    p_holm: float = 1.0
    p_equivalence_holm: float = 1.0

    @property
    def verdict(self) -> str:
        """What is shown at ``LEVEL`` after correction."""
        shown = []
        if self.p_holm < LEVEL:
            shown.append("higher" if self.test.mean > 0 else "lower")
        if self.p_equivalence_holm < LEVEL:
            shown.append("equivalent within the margin")
        return ", but ".join(shown) or "open"


def read_values(study: OrderStudySettings) -> dict[tuple[int, int, str], dict[str, float]]:
    """``REPORTED`` and ``BY_TYPE`` of every measured run; undefined ones are left out.

    Raises:
      Refusal: as ``read_runs``.
    """
    values = read_runs(study.earlier_runs) if study.earlier_runs else {}
    for cell in cells_of(study):
        fold = study.fold(cell.patients, cell.replicate)
        for arm in arms_of(cell.group, cell.replicate):
            run = run_of(study.folder, fold, cell.replicate, arm.name)
            if has_results(run, "test"):
                found = summarise(load_results(run).results)
                names = (*REPORTED, *BY_TYPE)
                known = {name: found[name] for name in names if found.get(name) is not None}
                values[cell.patients, cell.replicate, arm.name] = known
    return values


def differences(
    values: Values, comparison: Comparison, measure: str, patients: int
) -> dict[int, float]:
    """First minus second arm by replicate, where both are known."""
    sides = [
        {r: v[measure] for (n, r, arm), v in values.items() if (n, arm) == (patients, side)}
        for side in (comparison.first, comparison.second)
    ]
    return {r: sides[0][r] - sides[1][r] for r in sorted(sides[0].keys() & sides[1].keys())}


def effects(
    values: Values, comparisons: Sequence[Comparison], patients: int, margin: float
) -> list[Effect]:
    """All comparisons in all measures, as one family; those of fewer than 2 replicates missing."""
    found = []
    for comparison in comparisons:
        for measure in MEASURES:
            each = list(differences(values, comparison, measure, patients).values())
            if len(each) > 1:
                found.append(Effect(comparison, measure, patients, paired_t(each, margin)))
    p_values = holm([effect.test.p for effect in found])
    equivalence = holm([effect.test.p_equivalence for effect in found])
    return [
        replace(effect, p_holm=p, p_equivalence_holm=p_equivalence)
        for effect, p, p_equivalence in zip(found, p_values, equivalence, strict=True)
    ]


def change_per_doubling(
    values: Values, comparison: Comparison, measure: str, sizes: Sequence[int], margin: float
) -> PairedT | None:
    """How a difference changes when the patients double: a slope for each complete replicate."""
    by_size = [differences(values, comparison, measure, size) for size in sizes]
    complete = sorted(set.intersection(*(set(each) for each in by_size)))
    if len(sizes) < 2 or len(complete) < 2:
        return None
    doublings = np.log2(sizes)
    slopes = [np.polyfit(doublings, [each[r] for each in by_size], 1)[0] for r in complete]
    return paired_t(slopes, margin)

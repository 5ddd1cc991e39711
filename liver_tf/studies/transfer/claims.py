"""What a transfer study shows and what it does not, as sentences written by rule.

The test slices come from one patient and are close to each other, so there are no significance
tests and no confidence intervals. Trainings are compared instead: two protocols count as
different only if every seed of one is above every seed of the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np

from liver_tf.studies.transfer.transfer_results import TransferResults, slice_dice

HIGHER, LOWER, NOT_SHOWN = "higher", "lower", "no difference shown"

#: The network before fine-tuning; no protocol has this name.
PHANTOM_ONLY = "phantoms only"


@dataclass(frozen=True)
class Claim:
    """A possible result: ``protocol`` has a higher liver Dice than ``reference``.

    Attributes:
      statement: the sentence if it holds in every comparison.
      question: the sentence if it does not.
    """

    protocol: str
    reference: str
    statement: str
    question: str


#: In the order in which the paper's claims build on each other.
CLAIMS = (
    Claim(
        "no_freezing",
        "baseline",
        "Pre-training on phantoms helps compared with training from scratch, one cycle each.",
        "Does pre-training on phantoms help compared with training from scratch, one cycle each?",
    ),
    Claim(
        "no_freezing",
        "baseline_long",
        "It also helps compared with training from scratch for four times the epochs, at a "
        "suitable learning rate.",
        "Does it help compared with training from scratch for four times the epochs, at a "
        "suitable learning rate?",
    ),
    Claim(
        "no_freezing",
        PHANTOM_ONLY,
        "Real slices help: fine-tuning improves the network trained only on phantoms.",
        "Do the real slices help, compared with the network trained only on phantoms?",
    ),
    Claim(
        "freeze_encoder",
        "no_freezing",
        "Freezing the encoder is better than training it.",
        "Is freezing the encoder better than training it?",
    ),
    Claim(
        "hier_freeze",
        "no_freezing_5_cycles",
        "Hierarchical freezing is better than training equally long with nothing frozen.",
        "Is hierarchical freezing better than training equally long with nothing frozen?",
    ),
    Claim(
        "hier_unfreeze",
        "no_freezing_6_cycles",
        "Hierarchical unfreezing is better than training equally long with nothing frozen.",
        "Is hierarchical unfreezing better than training equally long with nothing frozen?",
    ),
)


@dataclass(frozen=True)
class SeedComparison:
    """Two protocols with the same training slices: mean Dice over the test slices, by seed.

    Attributes:
      seeds, reference: one value for each seed; the phantom network has a single one.
    """

    end: str
    count: int
    seeds: tuple[float, ...]
    reference: tuple[float, ...]

    @property
    def difference(self) -> float:
        """Difference of the means over seeds."""
        return float(np.mean(self.seeds) - np.mean(self.reference))

    @property
    def verdict(self) -> str:
        if min(self.seeds) > max(self.reference):
            return HIGHER
        if max(self.seeds) < min(self.reference):
            return LOWER
        return NOT_SHOWN


def sort_claims(results: TransferResults) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The claims that the results show, and those that they do not or only in part."""
    shown, not_shown = [], []
    for claim in CLAIMS:
        found = comparisons(results, claim)
        if not found:
            not_shown.append(f"{claim.question} Not measured.")
        elif all(comparison.verdict == HIGHER for comparison in found):
            shown.append(f"{claim.statement} {_detail(claim, found)}")
        else:
            not_shown.append(f"{claim.question} {_answer(found)} {_detail(claim, found)}")
    return tuple(shown), tuple(not_shown)


def comparisons(results: TransferResults, claim: Claim) -> list[SeedComparison]:
    """The comparisons of a claim: each end and training size for which both sides have results."""
    found = []
    for end in results.ends:
        for count in results.counts:
            sides = [
                mean_dice_by_seed(results, end, count, name)
                for name in (claim.protocol, claim.reference)
            ]
            if all(sides):
                found.append(SeedComparison(end, count, *sides))
    return found


def mean_dice_by_seed(
    results: TransferResults, end: str, count: int, protocol: str
) -> tuple[float, ...]:
    """Mean Dice over the test slices for each seed; empty if nothing was measured."""
    if protocol == PHANTOM_ONLY:
        runs = [results.phantom_only[end]] if end in results.phantom_only else []
    else:
        runs = results.by_seed(end, count, protocol)
    return tuple(float(np.mean(slice_dice(run))) for run in runs)


def chance_of_difference(seeds: int, others: int) -> str:
    """How often equal protocols would be found to differ, in either direction: ``1 in 10``."""
    return f"1 in {comb(seeds + others, seeds) / 2:.0f}"


def _answer(found: Sequence[SeedComparison]) -> str:
    verdicts = [comparison.verdict for comparison in found]
    if set(verdicts) == {NOT_SHOWN}:
        return "No difference shown: the seeds overlap in every comparison."
    if set(verdicts) == {LOWER}:
        return "No, the results show the opposite."
    parts = [
        f"{verdict} in {verdicts.count(verdict)}"
        for verdict in (HIGHER, LOWER, NOT_SHOWN)
        if verdict in verdicts
    ]
    return f"Mixed results in {len(found)} comparisons: {', '.join(parts)}."


def _detail(claim: Claim, found: Sequence[SeedComparison]) -> str:
    """The difference in every comparison, with its verdict unless that is ``HIGHER``."""
    parts = []
    for end in dict.fromkeys(comparison.end for comparison in found):
        differences = [
            f"{comparison.difference:+.3f} with {comparison.count} slices"
            + ("" if comparison.verdict == HIGHER else f" ({comparison.verdict})")
            for comparison in found
            if comparison.end == end
        ]
        parts.append(f"trained at the {end}, {', '.join(differences)}")
    return f"Mean Dice of {claim.protocol} minus {claim.reference}: {'; '.join(parts)}."

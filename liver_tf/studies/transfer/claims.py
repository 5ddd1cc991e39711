"""What a transfer study shows and what it does not, as sentences that follow fixed rules.

The test slices are neighbours in one patient, so there are no significance tests and no confidence
intervals. Instead the seeds are compared: two protocols count as different only if every seed of
one is above every seed of the other.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
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
      statement: what that means, in a form that can also follow "that".
    """

    protocol: str
    reference: str
    statement: str


#: In the order in which the paper's claims build on each other.
CLAIMS = (
    Claim(
        "no_freezing",
        "baseline",
        "pre-training on phantoms helps compared with training from scratch, one cycle each",
    ),
    Claim(
        "no_freezing",
        "baseline_long",
        "pre-training on phantoms helps compared with training from scratch for four times the "
        "epochs, at a suitable learning rate",
    ),
    Claim(
        "no_freezing",
        PHANTOM_ONLY,
        "real slices help: fine-tuning improves the network trained only on phantoms",
    ),
    Claim("freeze_encoder", "no_freezing", "freezing the encoder is better than training it"),
    Claim(
        "hier_freeze",
        "no_freezing_5_cycles",
        "hierarchical freezing is better than training equally long with nothing frozen",
    ),
    Claim(
        "hier_unfreeze",
        "no_freezing_6_cycles",
        "hierarchical unfreezing is better than training equally long with nothing frozen",
    ),
)


@dataclass(frozen=True)
class SeedComparison:
    """Two protocols with the same training slices: mean Dice over the test slices, by seed.

    The network trained only on phantoms has a single value.
    """

    end: str
    count: int
    seeds: tuple[float, ...]
    reference: tuple[float, ...]

    @property
    def verdict(self) -> str:
        if min(self.seeds) > max(self.reference):
            return HIGHER
        if max(self.seeds) < min(self.reference):
            return LOWER
        return NOT_SHOWN

    @property
    def one_in(self) -> float:
        """Equal protocols differ by chance, in either direction, once in so many comparisons."""
        return comb(len(self.seeds) + len(self.reference), len(self.seeds)) / 2

    def text(self) -> str:
        """The difference of the means over seeds, with the verdict unless that is ``HIGHER``."""
        difference = np.mean(self.seeds) - np.mean(self.reference)
        remark = "" if self.verdict == HIGHER else f" ({self.verdict})"
        return f"{difference:+.3f} with {self.count} slices{remark}"


def sort_claims(results: TransferResults) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The claims that the results show, and those that they do not or only in part."""
    shown, not_shown = [], []
    for claim in CLAIMS:
        compared = comparisons(results, claim)
        if compared and all(comparison.verdict == HIGHER for comparison in compared):
            statement = claim.statement[0].upper() + claim.statement[1:]
            shown.append(f"{statement}. {_differences(claim, compared)}")
        elif compared:
            text = f"{_summary(compared)} {_differences(claim, compared)}"
            not_shown.append(f"That {claim.statement}. {text}")
        else:
            not_shown.append(f"That {claim.statement}. Not measured.")
    return tuple(shown), tuple(not_shown)


def comparisons(results: TransferResults, claim: Claim) -> list[SeedComparison]:
    """The comparisons of a claim: each end and training size for which both sides have results."""
    compared = []
    for end, count in product(results.ends, results.counts):
        seeds = mean_dice_by_seed(results, end, count, claim.protocol)
        reference = mean_dice_by_seed(results, end, count, claim.reference)
        if seeds and reference:
            compared.append(SeedComparison(end, count, seeds, reference))
    return compared


def mean_dice_by_seed(
    results: TransferResults, end: str, count: int, protocol: str
) -> tuple[float, ...]:
    """Mean Dice over the test slices for each seed; empty if nothing was measured."""
    if protocol == PHANTOM_ONLY:
        runs = [results.phantom_only[end]] if end in results.phantom_only else []
    else:
        runs = results.by_seed(end, count, protocol)
    return tuple(float(np.mean(slice_dice(run))) for run in runs)


def _summary(compared: Sequence[SeedComparison]) -> str:
    verdicts = Counter(comparison.verdict for comparison in compared)
    if set(verdicts) == {NOT_SHOWN}:
        return "No difference shown: the seeds overlap in every comparison."
    if set(verdicts) == {LOWER}:
        return "The results show the opposite."
    parts = [f"{name} in {verdicts[name]}" for name in (HIGHER, LOWER, NOT_SHOWN) if verdicts[name]]
    return f"Mixed results in {len(compared)} comparisons: {', '.join(parts)}."


def _differences(claim: Claim, compared: Sequence[SeedComparison]) -> str:
    parts = []
    for end in dict.fromkeys(comparison.end for comparison in compared):
        texts = [comparison.text() for comparison in compared if comparison.end == end]
        parts.append(f"trained at the {end}, {', '.join(texts)}")
    return f"Mean Dice of {claim.protocol} minus {claim.reference}: {'; '.join(parts)}."

"""What a transfer study shows and what it does not, in plain words, written by rule.

The test slices are of one patient and near each other: no test of significance is made of them, and
no interval. What is compared are trainings: two protocols are told apart only where every seed of
one lies above every seed of the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np

from liver_tf.studies.transfer.transfer_results import TransferStudy, slice_dice

HIGHER, LOWER, NOT_SHOWN = "higher", "lower", "no difference shown"

#: The network as it is before fine-tuning; no protocol is called so.
PHANTOM_ONLY = "phantoms only"


@dataclass(frozen=True)
class Claim:
    """Something that may hold: ``protocol`` finds more of the liver than ``reference``.

    Attributes:
      holds: the sentence where it is so in every comparison.
      else_: what is asked, for where it is not.
    """

    protocol: str
    reference: str
    holds: str
    asked: str


#: In the order in which the paper's claims build on each other.
CLAIMS = (
    Claim(
        "no_freezing",
        "baseline",
        "Pre-training on phantoms helped against a network from scratch, one cycle each.",
        "Does pre-training on phantoms help against a network from scratch, one cycle each?",
    ),
    Claim(
        "no_freezing",
        "baseline_long",
        "It also helped against a network from scratch that was given four times the epochs and a "
        "rate that suits it.",
        "Does it help against a network from scratch that is given four times the epochs and a "
        "rate that suits it?",
    ),
    Claim(
        "no_freezing",
        PHANTOM_ONLY,
        "Real slices helped: fine-tuning improved on the network that had seen phantoms alone.",
        "Do the real slices help, against the network that has seen phantoms alone?",
    ),
    Claim(
        "freeze_encoder",
        "no_freezing",
        "A frozen encoder was better than one that trains.",
        "Is a frozen encoder better than one that trains?",
    ),
    Claim(
        "hier_freeze",
        "no_freezing_5_cycles",
        "Hierarchical freezing was better than training as long with nothing frozen.",
        "Is hierarchical freezing better than training as long with nothing frozen?",
    ),
    Claim(
        "hier_unfreeze",
        "no_freezing_6_cycles",
        "Hierarchical unfreezing was better than training as long with nothing frozen.",
        "Is hierarchical unfreezing better than training as long with nothing frozen?",
    ),
)


@dataclass(frozen=True)
class Comparison:
    """Two protocols on one set of training slices: mean Dice over the test slices, seed by seed.

    Attributes:
      seeds, reference: float, one entry a seed; the phantom network has one.
    """

    end: str
    count: int
    seeds: tuple[float, ...]
    reference: tuple[float, ...]

    @property
    def difference(self) -> float:
        """Of the means over seeds."""
        return float(np.mean(self.seeds) - np.mean(self.reference))

    @property
    def verdict(self) -> str:
        if min(self.seeds) > max(self.reference):
            return HIGHER
        if max(self.seeds) < min(self.reference):
            return LOWER
        return NOT_SHOWN


def seeds_of(study: TransferStudy, end: str, count: int, protocol: str) -> tuple[float, ...]:
    """Mean Dice over the test slices, for each seed; empty where nothing was measured."""
    if protocol == PHANTOM_ONLY:
        run = study.phantom_only.get(end)
        return () if run is None else (float(np.mean(slice_dice(run))),)
    dice = study.dice(end, count, protocol)
    return tuple(dice.mean(axis=1).tolist()) if dice.size else ()


def comparisons(study: TransferStudy, claim: Claim) -> list[Comparison]:
    """Of a claim, for each end and size of which both sides were measured."""
    found = []
    for end in study.ends:
        for count in study.counts:
            sides = [
                seeds_of(study, end, count, name) for name in (claim.protocol, claim.reference)
            ]
            if all(sides):
                found.append(Comparison(end, count, *sides))
    return found


def summary(study: TransferStudy) -> tuple[list[str], list[str]]:
    """What holds of the claims, and what does not or only in part: a sentence or two each."""
    holds, does_not = [], []
    for claim in CLAIMS:
        found = comparisons(study, claim)
        if not found:
            does_not.append(f"{claim.asked} Not measured.")
        elif all(one.verdict == HIGHER for one in found):
            holds.append(f"{claim.holds} {_detail(claim, found)}")
        else:
            does_not.append(f"{claim.asked} {_answer(found)} {_detail(claim, found)}")
    return holds, does_not


def by_chance(seeds: int, others: int) -> str:
    """How often equal trainings would be told apart, either way: ``1 in 10``."""
    return f"1 in {comb(seeds + others, seeds) / 2:.0f}"


def _answer(found: Sequence[Comparison]) -> str:
    verdicts = [one.verdict for one in found]
    if set(verdicts) == {NOT_SHOWN}:
        return "No difference shown: the seeds overlap everywhere."
    if set(verdicts) == {LOWER}:
        return "No, the opposite was measured."
    parts = [
        f"{verdict} in {verdicts.count(verdict)}"
        for verdict in (HIGHER, LOWER, NOT_SHOWN)
        if verdict in verdicts
    ]
    return f"Not throughout: of {len(found)} comparisons {', '.join(parts)}."


def _detail(claim: Claim, found: Sequence[Comparison]) -> str:
    """``no_freezing - baseline: feet +0.10 (4 slices), ...``, each with its verdict if mixed."""
    parts = []
    for end in dict.fromkeys(one.end for one in found):
        own = [
            f"{one.difference:+.3f} with {one.count} slices"
            + ("" if one.verdict == HIGHER else f" ({one.verdict})")
            for one in found
            if one.end == end
        ]
        parts.append(f"trained at the {end}, {', '.join(own)}")
    return f"Mean Dice of {claim.protocol} less {claim.reference}: {'; '.join(parts)}."

"""The grid of a study: its runs (fold x protocol x seed), their names and their order."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

PAPER_PROTOCOLS = ("baseline", "no_freezing", "freeze_encoder", "hier_freeze", "hier_unfreeze")

#: The paper's protocols, and controls of the same length as its hierarchical ones.
PROTOCOLS = (*PAPER_PROTOCOLS, "no_freezing_5_cycles", "no_freezing_6_cycles")


@dataclass(frozen=True, order=True)
class StudyCell:
    """One run's place in the grid."""

    fold: int
    protocol: str
    seed: int

    @property
    def name(self) -> str:
        return f"fold{self.fold}/{self.protocol}/seed{self.seed}"

    @classmethod
    def parse(cls, name: str) -> StudyCell:
        """Read ``fold1/hier_freeze/seed0``, or ``fold1/seed0/hier_freeze`` (the run's folder).

        Raises:
          ValueError: the name has another form.
        """
        parts = {"f": r"fold(?P<fold>\d+)", "p": r"(?P<protocol>[^/]+)", "s": r"seed(?P<seed>\d+)"}
        orders = ("{f}/{p}/{s}", "{f}/{s}/{p}")
        matches = [re.fullmatch(order.format_map(parts), name) for order in orders]
        match = next((match for match in matches if match), None)
        if match is None or re.fullmatch(r"(fold|seed)\d+", match["protocol"]):
            raise ValueError(f"expected a run like fold1/hier_freeze/seed0, found {name!r}")
        return cls(int(match["fold"]), match["protocol"], int(match["seed"]))


def grid(folds: Iterable[int], protocols: Iterable[str], seeds: Iterable[int]) -> list[StudyCell]:
    """All cells of a study, protocol by protocol.

    Runs of the same fold and seed copy finished cycles from each other. In this order neighbouring
    runs differ in fold or seed, so a cycle is finished before another run needs it, even if several
    runs train at the same time.
    """
    folds, seeds = list(folds), list(seeds)
    return [StudyCell(fold, name, seed) for name in protocols for seed in seeds for fold in folds]

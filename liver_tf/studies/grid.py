"""The grid of a study: its runs (fold x protocol x seed), their names and their order."""

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass

from liver_tf.options import OptionError

PAPER_PROTOCOLS = ("baseline", "no_freezing", "freeze_encoder", "hier_freeze", "hier_unfreeze")

#: The paper's protocols, and controls of the same length as its hierarchical ones.
PROTOCOLS = (*PAPER_PROTOCOLS, "no_freezing_5_cycles", "no_freezing_6_cycles")


@dataclass(frozen=True, order=True)
class StudyCell:
    """Position of a run in the grid."""

    fold: int
    protocol: str
    seed: int

    @property
    def name(self) -> str:
        return f"fold{self.fold}/{self.protocol}/seed{self.seed}"

    @classmethod
    def parse(cls, name: str) -> "StudyCell":
        """Read ``fold1/hier_freeze/seed0``, or ``fold1/seed0/hier_freeze`` (the run's folder).

        Raises:
          OptionError: the name has another form.
        """
        seed_last = re.sub(r"^(fold\d+)/(seed\d+)/([^/]+)$", r"\1/\3/\2", name)
        match = re.fullmatch(r"fold(\d+)/([^/]+)/seed(\d+)", seed_last)
        if match is None or re.fullmatch(r"(fold|seed)\d+", match[2]):
            problem = f"expected a run like fold1/hier_freeze/seed0, found {name!r}"
            raise OptionError("only", problem)
        return cls(int(match[1]), match[2], int(match[3]))


def grid(folds: Iterable[int], protocols: Iterable[str], seeds: Iterable[int]) -> list[StudyCell]:
    """All cells of a study, protocol by protocol.

    Runs of the same fold and seed copy finished cycles from each other. In this order neighbouring
    runs differ in fold or seed, so a cycle is finished before another run needs it, even if several
    runs train at the same time.
    """
    cells = itertools.product(protocols, seeds, folds)
    return [StudyCell(fold, protocol, seed) for protocol, seed, fold in cells]

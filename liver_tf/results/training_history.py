"""How a run was trained, cycle by cycle, as its folder tells it."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from liver_tf import run_files

#: What is read of the epoch whose weights a cycle kept, beside its monitored value.
KEPT = ("val_loss", "val_dice", "val_dice_any_lesion")


@dataclass(frozen=True)
class FinishedCycle:
    """One finished cycle.

    Attributes:
      number: from 1. fixed: blocks held fixed.
      monitor: what early stopping watched. best_epoch: whose weights were kept, from 1.
      seconds: of training; of a cycle that was copied, those of the run it came from.
      key: of all that decides the cycle; runs with the same key share its computation. Empty
        where unknown.
      epochs: a row per epoch: ``loss``, ``val_loss``, ``val_dice`` and what else there is.
    """

    number: int
    fixed: tuple[str, ...]
    monitor: str
    best_epoch: int
    seconds: float
    key: str
    epochs: tuple[Mapping[str, float], ...]

    @property
    def fixed_text(self) -> str:
        """``none``, ``enc1``, ``enc1-4``: the blocks held fixed, neighbours joined."""
        spans: list[tuple[str, int, int]] = []
        for block in self.fixed:
            stem = block.rstrip("0123456789")
            number = int(block.removeprefix(stem) or 0)
            if spans and spans[-1][0] == stem and abs(spans[-1][2] - number) == 1:
                spans[-1] = (stem, spans[-1][1], number)
            else:
                spans.append((stem, number, number))
        return ",".join(_span(*span) for span in spans) or "none"

    def kept(self, name: str) -> float | None:
        """A value of the epoch whose weights were kept; None where it was not noted."""
        if not 1 <= self.best_epoch <= len(self.epochs):
            return None
        return self.epochs[self.best_epoch - 1].get(name)


def _span(stem: str, first: int, last: int) -> str:
    if not first:
        return stem
    return f"{stem}{first}" if first == last else f"{stem}{first}-{last}"


def read_cycles(run: Path) -> tuple[FinishedCycle, ...]:
    """The finished cycles of a run in order, up to the first that is not finished or not readable.

    An empty tuple where there is none.
    """
    found = []
    while True:
        folder = run_files.cycle_folder(run, len(found) + 1)
        try:
            told = json.loads((folder / run_files.CYCLE_RESULT).read_text(encoding="utf-8"))
            with open(folder / run_files.HISTORY, newline="", encoding="utf-8") as file:
                epochs = [
                    {k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)
                ]
            key = folder / run_files.CYCLE_KEY
            found.append(
                FinishedCycle(
                    number=len(found) + 1,
                    fixed=tuple(told["fixed"]),
                    monitor=str(told["monitor"]),
                    best_epoch=int(told["best_epoch"]),
                    seconds=float(told["seconds"]),
                    key=key.read_text(encoding="utf-8").strip() if key.is_file() else "",
                    epochs=tuple(epochs),
                )
            )
        except (OSError, ValueError, KeyError, TypeError):
            return tuple(found)


def seconds_spent(runs: Sequence[Sequence[FinishedCycle]]) -> float:
    """Seconds of training of some runs, a cycle that several of them share counted once."""
    total, seen = 0.0, set()
    for cycles in runs:
        for cycle in cycles:
            if not cycle.key or cycle.key not in seen:
                total += cycle.seconds
            seen.add(cycle.key)
    return total

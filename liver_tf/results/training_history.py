"""Training history of a run, cycle by cycle, from the files in its folder."""

import csv
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from liver_tf import run_files
from liver_tf.bounded_files import read_json


@dataclass(frozen=True)
class FinishedCycle:
    """One finished cycle.

    Attributes:
      number: position in the run, from 1.
      fixed: frozen blocks.
      best_epoch: epoch whose weights were kept, from 1.
      seconds: training time; for a cycle copied from another run, the time of that run.
      key: hash of everything that decides the cycle; runs with the same key share the computation.
        Empty if unknown.
      machine: processor and GPUs that trained it; empty if they were not recorded.
      epochs: one row per epoch: ``loss``, ``val_loss``, ``val_dice`` and others.
    """

    number: int
    fixed: tuple[str, ...]
    monitor: str
    best_epoch: int
    seconds: float
    key: str
    epochs: tuple[Mapping[str, float], ...]
    machine: str = ""

    @property
    def core_seconds(self) -> float:
        """Processor time of training and validation, over all cores; 0 if it was not recorded."""
        return sum(epoch.get("core_seconds", 0.0) for epoch in self.epochs)

    @property
    def fixed_text(self) -> str:
        """The frozen blocks in brief: ``none``, ``enc1``, ``enc1-4``."""
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
        """A value of the epoch whose weights were kept; None if it was not recorded."""
        if not 1 <= self.best_epoch <= len(self.epochs):
            return None
        return self.epochs[self.best_epoch - 1].get(name)


def _span(stem: str, first: int, last: int) -> str:
    if not first:
        return stem
    return f"{stem}{first}" if first == last else f"{stem}{first}-{last}"


def read_cycles(run: Path) -> tuple[FinishedCycle, ...]:
    """The finished cycles of a run in order, up to the first unfinished or unreadable one."""
    cycles: list[FinishedCycle] = []
    while True:
        number = len(cycles) + 1
        try:
            cycles.append(_read_cycle(run_files.cycle_folder(run, number), number))
        except (OSError, ValueError, KeyError, TypeError):
            return tuple(cycles)


def trained_cycles(runs: Sequence[Sequence[FinishedCycle]]) -> list[FinishedCycle]:
    """The cycles of runs; a cycle shared by several runs occurs once."""
    once, seen = [], set()
    for cycle in itertools.chain.from_iterable(runs):
        if not cycle.key or cycle.key not in seen:
            once.append(cycle)
        seen.add(cycle.key)
    return once


def _read_cycle(folder: Path, number: int) -> FinishedCycle:
    outcome = read_json(folder / run_files.CYCLE_RESULT)
    with open(folder / run_files.HISTORY, newline="", encoding="utf-8") as file:
        epochs = [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]
    key = folder / run_files.CYCLE_KEY
    return FinishedCycle(
        number=number,
        fixed=tuple(outcome["fixed"]),
        monitor=str(outcome["monitor"]),
        best_epoch=int(outcome["best_epoch"]),
        seconds=float(outcome["seconds"]),
        key=key.read_text(encoding="utf-8").strip() if key.is_file() else "",
        epochs=tuple(epochs),
        machine=str(outcome.get("machine", "")),
    )

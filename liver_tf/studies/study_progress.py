"""How far a study is: one bar for all cells, with the time left."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from liver_tf import run_files
from liver_tf.studies.cell_process import DONE, CellJob, Outcome

#: What ``training.diary`` says of an epoch: number of the cycle, the epoch, epochs at most.
_EPOCH = re.compile(rb" (\d+)/\d+, fixed: [^\n]*: epoch (\d+) of (\d+),")
_END_BYTES = 4096


@dataclass(frozen=True)
class Work:
    """What a cell has to do: slices shown, by cycle, in training and validation together.

    0 for a cycle that is copied from another cell.
    """

    cycles: tuple[int, ...]

    @property
    def total(self) -> int:
        return sum(self.cycles)

    def until(self, finished: int, epoch: tuple[int, int, int] | None = None) -> int:
        """After so many finished cycles, and an epoch (of ``last_epoch``) of the next one."""
        done = sum(self.cycles[:finished])
        if epoch and epoch[0] == finished + 1 <= len(self.cycles):
            done += self.cycles[finished] * epoch[1] // epoch[2]
        return done


@dataclass
class Pace:
    """Seconds for a cell, learned from those that were carried out from their beginning.

    Training takes its share of the planned slices (what early stopping saves is in it), choosing
    and measuring the same for every cell.
    """

    slices: int = 0
    training_s: float = 0.0
    measuring_s: list[float] = field(default_factory=list)

    def learn(self, work: Work, seconds: Mapping[str, float]) -> None:
        """From what ``Outcome.seconds`` and ``cell.json`` hold; nothing from an empty one."""
        if not seconds:
            return
        self.measuring_s.append(seconds["measuring"])
        self.slices += work.total
        self.training_s += seconds["training"]

    def seconds(self, slices: int) -> float | None:
        """For a cell with so many slices to go, and its measuring; None before one was done."""
        if not self.measuring_s:
            return None
        measuring = sum(self.measuring_s) / len(self.measuring_s)
        return measuring + (slices * self.training_s / self.slices if self.slices else 0.0)


class Progress:
    """Told of every cell that ends. On a terminal a bar, elsewhere a line per cell."""

    def __init__(self, jobs: Sequence[CellJob], work: Mapping[str, Work]) -> None:
        self._count, self._work = len(jobs), work
        self._left = {job.name: job for job in jobs if not job.is_done()}
        self._done = self._count - len(self._left)
        self._pace = Pace()
        for job in jobs:
            self._pace.learn(work[job.name], job.memo().get("seconds", {}))
        self._began = time.monotonic()
        self._waited_for: set[str] = set()
        self._to_go_then = [self._to_go(job) for job in self._left.values()]
        total = sum(work[job.name].total for job in jobs)
        self._bar = tqdm(
            total=max(total, 1),
            disable=None,
            bar_format="{percentage:3.0f}%|{bar:40}| {desc}",
        )
        self.look()

    @property
    def left(self) -> list[CellJob]:
        """The cells that have not ended."""
        return list(self._left.values())

    def ended(self, outcome: Outcome) -> None:
        """A cell is done or has failed."""
        job = self._left.pop(outcome.name)
        self._done += outcome.state == DONE
        self._pace.learn(self._work[job.name], outcome.seconds)
        self.look()
        if outcome.state != DONE:
            self._bar.write(f"{outcome.name}: FAILED, {outcome.told}")
        elif self._bar.disable:
            took = f" in {duration(sum(outcome.seconds.values()))}" if outcome.seconds else ""
            print(f"{outcome.name}: done{took} ({self._text()})", flush=True)

    def look(self, waiting_for: Sequence[str] = ()) -> None:
        """Look how far the cells are that are left; ``waiting_for`` those in other hands."""
        slices = sum(self._finished_slices(job) for job in self._left.values())
        slices += sum(w.total for name, w in self._work.items() if name not in self._left)
        self._bar.n = min(slices, self._bar.total)
        self._bar.set_description_str(self._text(waiting_for))
        if self._bar.disable:
            for name in (one for one in waiting_for if one not in self._waited_for):
                print(f"{name}: another process has it; waiting until that ends", flush=True)
            self._waited_for.update(waiting_for)

    def close(self) -> None:
        self._bar.close()

    def _text(self, waiting_for: Sequence[str] = ()) -> str:
        left = self._seconds_left()
        told = [f"{self._done} of {self._count} cells"]
        if failed := self._count - self._done - len(self._left):
            told.append(f"{failed} failed")
        if self._left and left is not None:
            told.append(f"about {duration(left)} left")
        if waiting_for:
            told.append(f"another process has {', '.join(waiting_for)}")
        return ", ".join(told)

    def _seconds_left(self) -> float | None:
        """By what was got done since the start, however many cells run at a time."""
        left, then = (
            [self._pace.seconds(slices) for slices in of]
            for of in (map(self._to_go, self._left.values()), self._to_go_then)
        )
        elapsed = time.monotonic() - self._began
        if None not in left and None not in then:
            got_done = sum(then) - sum(left)
            return sum(left) * (elapsed / got_done if got_done > 0 else 1.0)
        # No cell has ended yet: by the slices that were shown.
        left = sum(map(self._to_go, self._left.values()))
        shown = sum(self._to_go_then) - left
        return left * elapsed / shown if shown > 0 else None

    def _to_go(self, job: CellJob) -> int:
        return self._work[job.name].total - self._finished_slices(job)

    def _finished_slices(self, job: CellJob) -> int:
        finished = len(run_files.cycle_results(job.run))
        return self._work[job.name].until(finished, last_epoch(job.log))


def last_epoch(log: Path) -> tuple[int, int, int] | None:
    """The last epoch that a cell's log tells: number of the cycle, the epoch, epochs at most."""
    try:
        with open(log, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _END_BYTES))
            told = _EPOCH.findall(file.read())
    except FileNotFoundError:
        return None
    return tuple(map(int, told[-1])) if told else None


def duration(seconds: float) -> str:
    """``1 h 05 min`` or ``3 min 20 s``."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"

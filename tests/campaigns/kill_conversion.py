"""SIGKILL at any moment of a conversion: visible files are complete, and it resumes to the same."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from liver_tf.phantom.phantom_folder import write_phantom
from liver_tf.phantom.phantom_plan import PhantomPlan
from tests.campaigns.victims import Victim, spread, visible_files

WHOM = ("parent", "worker", "group")


@dataclass
class Outcome:
    """Kills by process, number of chains and of correct ones, and what went wrong."""

    kills: Counter = field(default_factory=Counter)
    chains: int = 0
    same: int = 0
    refused: int = 0
    wrong: list[str] = field(default_factory=list)


class Conversion:
    """A table of slices that is converted repeatedly by two workers.

    Attributes:
      reference: files of the undisturbed conversion. duration_s: how long that took.
    """

    def __init__(self, folder: Path, plan: PhantomPlan) -> None:
        self._folder = folder
        write_phantom(folder / "phantom", plan)
        began = time.monotonic()
        status, said = self.finish(folder / "undisturbed")
        self.duration_s = time.monotonic() - began
        if status != 0:
            raise RuntimeError(f"the undisturbed conversion failed: {said}")
        self.reference = visible_files(folder / "undisturbed")

    def start(self, output: Path, workers: int = 2) -> Victim:
        return Victim(
            self._folder / f"{output.name}.log",  # outside the disk that may be full
            "data_prep.build_tfrecords",
            "--source=slices",
            f"--input={self._folder / 'phantom/sheba/slices.csv'}",
            f"--output={output}",
            f"--workers={workers}",
        )

    def finish(self, output: Path, workers: int = 2) -> tuple[int, str]:
        """Exit status and output of an undisturbed conversion."""
        victim = self.start(output, workers)
        return victim.finish(), victim.said()

    def half_written(self, output: Path) -> list[str]:
        """Incomplete or wrong files in the folder that have their final name."""
        visible = visible_files(output)
        wrong = [
            f"{name} differs from the undisturbed one"
            for name, data in visible.items()
            if data != self.reference.get(name)
        ]
        if "manifest.json" in visible and set(self.reference) - {"folds.json"} - set(visible):
            wrong.append("a manifest with fewer shards than it lists")
        if "folds.json" in visible and "manifest.json" not in visible:
            wrong.append("folds stand without a manifest")
        return wrong


def campaign(
    conversion: Conversion,
    folder: Path,
    kills: list[tuple[float, str]],
    chain: int,
    tick: Callable[[], object] = lambda: None,
) -> Outcome:
    """Kill conversions and resume them.

    Args:
      kills: seconds after the start, and whom of :data:`WHOM` to hit. A conversion that ended
        before its moment is checked, and the kill is tried on a fresh one, a little earlier.
      chain: kills in the same folder before its conversion may end.
    """
    outcome = Outcome()
    waiting = list(kills)
    while waiting:
        output = folder / f"chain{outcome.chains}"
        outcome.chains += 1
        for _ in range(min(chain, len(waiting))):
            moment, whom = waiting[0]
            victim = conversion.start(output)
            due = time.monotonic() + moment
            if not victim.wait_until(lambda due=due: time.monotonic() >= due):
                waiting[0] = (0.95 * moment, whom)
                break
            waiting.pop(0)
            hit = victim.kill(whom)
            outcome.kills[hit] += 1
            if hit == "worker":
                _check_worker_died(victim, outcome)
            outcome.wrong += conversion.half_written(output)
            tick()
        status, said = conversion.finish(output)
        if status != 0:
            outcome.wrong.append(f"the last start of a chain failed: {said}")
        elif visible_files(output) != conversion.reference:
            outcome.wrong.append("a chain ended with other files")
        else:
            outcome.same += 1
    return outcome


def _check_worker_died(victim: Victim, outcome: Outcome) -> None:
    """A conversion with a killed worker reports it, unless the worker had finished."""
    status, said = victim.finish(), victim.said()
    if status == 1 and "[worker-died]" in said:
        outcome.refused += 1
    elif status != 0:
        outcome.wrong.append(f"after a worker's death: status {status}: {said}")


def random_kills(count: int, duration_s: float, seed: int) -> list[tuple[float, str]]:
    """Moments spread evenly over the duration, each with the process to kill."""
    moments = spread(count, duration_s, random.Random(seed))
    return [(moment, WHOM[number % len(WHOM)]) for number, moment in enumerate(moments)]

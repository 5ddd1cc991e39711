"""Kill a conversion at any moment: visible files are complete, and resuming gives the same set."""

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

TARGETS = ("parent", "worker", "group")


@dataclass
class Outcome:
    """Kills by process, number of chains and of correct ones, refusals, and failures."""

    kills: Counter = field(default_factory=Counter)
    chains: int = 0
    same: int = 0
    refused: int = 0
    wrong: list[str] = field(default_factory=list)


class Conversion:
    """A table of slices that is converted repeatedly by two workers.

    Attributes:
      reference: Files of the undisturbed conversion.
      duration_s: Duration of the undisturbed conversion.
    """

    def __init__(self, folder: Path, plan: PhantomPlan) -> None:
        self._folder = folder
        write_phantom(folder / "phantom", plan)
        began = time.monotonic()
        status, log = self.finish(folder / "undisturbed")
        self.duration_s = time.monotonic() - began
        if status != 0:
            raise RuntimeError(f"the undisturbed conversion failed: {log}")
        self.reference = visible_files(folder / "undisturbed")

    def start(self, output: Path, workers: int = 2, log: str = "log") -> Victim:
        return Victim(
            self._folder / f"{output.name}.{log}",  # outside the disk that may be full
            "data_prep.build_tfrecords",
            "--source=slices",
            f"--input={self._folder / 'phantom/sheba/slices.csv'}",
            f"--output={output}",
            f"--workers={workers}",
        )

    def finish(self, output: Path, workers: int = 2) -> tuple[int, str]:
        """Exit status and output of an undisturbed conversion."""
        victim = self.start(output, workers)
        return victim.finish(), victim.output()

    def half_written(self, output: Path) -> list[str]:
        """Incomplete or wrong files in the folder that have their final names."""
        visible = visible_files(output)
        wrong = [
            f"{name} differs from that of the undisturbed conversion"
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
      kills: Seconds after the start, and the target, one of :data:`TARGETS`. If a conversion ends
        before that moment, its result is checked, and a new one is killed a little earlier.
      chain: Number of kills in the same folder before its conversion may end.
    """
    outcome = Outcome()
    remaining = list(kills)
    while remaining:
        output = folder / f"chain{outcome.chains}"
        outcome.chains += 1
        for _ in range(min(chain, len(remaining))):
            moment, target = remaining[0]
            victim = conversion.start(output)
            kill_time = time.monotonic() + moment
            if not victim.wait_until(lambda kill_time=kill_time: time.monotonic() >= kill_time):
                remaining[0] = (0.95 * moment, target)
                break
            remaining.pop(0)
            killed = victim.kill(target)
            outcome.kills[killed] += 1
            if killed == "worker":
                _check_worker_died(victim, outcome)
            outcome.wrong += conversion.half_written(output)
            tick()
        status, log = conversion.finish(output)
        if status != 0:
            outcome.wrong.append(f"the last conversion of a chain failed: {log}")
        elif visible_files(output) != conversion.reference:
            outcome.wrong.append("a chain ended with different files")
        else:
            outcome.same += 1
    return outcome


def _check_worker_died(victim: Victim, outcome: Outcome) -> None:
    """A conversion with a killed worker reports it, unless the worker had finished."""
    status, log = victim.finish(), victim.output()
    if status == 1 and "[worker-died]" in log:
        outcome.refused += 1
    elif status != 0:
        outcome.wrong.append(f"after a worker's death: status {status}: {log}")


def random_kills(count: int, duration_s: float, seed: int) -> list[tuple[float, str]]:
    """Moments spread evenly over the duration, each with the process to kill."""
    moments = spread(count, duration_s, random.Random(seed))
    return [(moment, TARGETS[number % len(TARGETS)]) for number, moment in enumerate(moments)]

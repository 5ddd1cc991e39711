"""Kill a run at any moment: it resumes and ends with the same weights, bit for bit."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from liver_tf.model.weights_file import load_arrays, stored_hash
from liver_tf.refusals import Refusal
from tests.campaigns.victims import Victim, spread, visible_files


@dataclass(frozen=True)
class Kill:
    """When to kill: seconds after the start, or as soon as a file of the run exists."""

    seconds: float | None = None
    file: str = ""


@dataclass
class Outcome:
    """Number of runs, of runs with the undisturbed weights and of kills; failures."""

    runs: int = 0
    same: int = 0
    kills: int = 0
    wrong: list[str] = field(default_factory=list)


class Run:
    """A run that is trained repeatedly.

    Attributes:
      result: Result of the undisturbed run.
      duration_s: Its duration while ``side_by_side`` runs train at the same time.
    """

    def __init__(self, folder: Path, records: Path, cycles: int, side_by_side: int = 2) -> None:
        self._records, self._cycles = records, cycles
        began = time.monotonic()
        twins = [folder / f"undisturbed{number}" / "run" for number in range(side_by_side)]
        victims = [self.start(run) for run in twins]
        for victim in victims:
            if victim.finish() != 0:
                raise RuntimeError(f"the undisturbed run failed: {victim.output()}")
        self.duration_s = time.monotonic() - began
        self.result = result_of(twins[0])
        if any(result_of(run) != self.result for run in twins):
            raise RuntimeError(
                "two undisturbed runs differ, so killed runs cannot be compared with them"
            )

    def start(self, run: Path) -> Victim:
        run.parent.mkdir(parents=True, exist_ok=True)
        log = run.parent / "log.txt"
        return Victim(log, "tests.campaigns.six_cycles", run, self._records, str(self._cycles))

    def disturbed(self, run: Path, kills: list[Kill]) -> Outcome:
        """Train the run and kill it at these moments.

        If the run ends before its first kill, it is restarted and killed a little earlier; later
        kills after the end of the run are skipped.
        """
        outcome = Outcome(runs=1)
        for kill in kills:
            killed = self._kill(run, kill)
            while not killed and outcome.kills == 0 and kill.seconds is not None:
                shutil.rmtree(run)
                kill = replace(kill, seconds=0.9 * kill.seconds)
                killed = self._kill(run, kill)
            outcome.kills += killed
            outcome.wrong += half_written(run)
        victim = self.start(run)
        if victim.finish() != 0:
            outcome.wrong.append(f"the last training failed: {victim.output()}")
        elif result_of(run) == self.result:
            outcome.same = 1
        else:
            outcome.wrong.append(f"weights differ from those of the undisturbed run, after {kills}")
        return outcome

    def _kill(self, run: Path, kill: Kill) -> bool:
        victim = self.start(run)
        if not victim.wait_until(_moment(kill, run)):
            return False
        victim.kill("group")
        return True


def result_of(run: Path) -> dict:
    """Everything that must be equal: the weights, the result of each cycle, and ``run.json``."""
    cycles = {}
    for path in sorted(run.glob("cycle*/cycle.json")):
        summary = json.loads(path.read_text(encoding="utf-8"))
        summary.pop("seconds")
        cycles[path.parent.name] = (summary, stored_hash(path.parent / "best.npz"))
    arrays = load_arrays(run / "weights.npz")
    weights = {name: (array.dtype.str, array.tobytes()) for name, array in arrays.items()}
    return {"weights": weights, "cycles": cycles, "identity": (run / "run.json").read_text()}


def half_written(run: Path) -> list[str]:
    """Incomplete files of a killed run that have their final names."""
    wrong = []
    for name in visible_files(run):
        try:
            if name.endswith(".npz"):
                load_arrays(run / name)
            elif name.endswith(".json"):
                json.loads((run / name).read_text(encoding="utf-8"))
        except (Refusal, ValueError) as error:
            wrong.append(f"{name}: {error}")
    for path in run.glob("cycle*/cycle.json"):
        missing = [n for n in ("best.npz", "history.csv") if not (path.parent / n).exists()]
        wrong += [f"{path.parent.name} is marked as finished but has no {n}" for n in missing]
    return wrong


def campaign(
    run: Run,
    folder: Path,
    plans: list[list[Kill]],
    side_by_side: int = 2,
    tick: Callable[[], object] = lambda: None,
) -> Outcome:
    """Train one run per plan of kills, each in its own folder."""
    total = Outcome()

    def train_and_kill(number: int) -> Outcome:
        # Runs in the same folder would copy each other's cycles.
        return run.disturbed(folder / f"killed{number}" / "run", plans[number])

    with ThreadPoolExecutor(side_by_side) as pool:
        for outcome in pool.map(train_and_kill, range(len(plans))):
            for name in ("runs", "same", "kills"):
                setattr(total, name, getattr(total, name) + getattr(outcome, name))
            total.wrong += outcome.wrong
            tick()
    return total


def random_plans(count: int, duration_s: float, cycles: int, seed: int) -> list[list[Kill]]:
    """Plan one or two kills per run; a third of the runs is killed between cycles or epochs."""
    generator = random.Random(seed)
    moments = spread(count, 0.95 * duration_s, generator)
    plans = []
    for number, moment in enumerate(moments):
        if number % 3 == 2:
            name = ("cycle.json", "key", "state.npz", "best.npz")[number // 3 % 4]
            plans.append([Kill(file=f"cycle{generator.randint(1, cycles)}/{name}")])
        else:
            plans.append([Kill(moment)])
        if number % 5 == 4:
            plans[-1].append(Kill(generator.random() * duration_s / 2))
    return plans


def _moment(kill: Kill, run: Path) -> Callable[[], bool]:
    if kill.file:
        return (run / kill.file).exists
    kill_time = time.monotonic() + kill.seconds
    return lambda: time.monotonic() >= kill_time

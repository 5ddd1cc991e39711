"""A chain of commands on phantom data, each printed before it runs, none run twice."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from liver_tf.atomic_files import write_json

#: A phantom has no patients whose names need keeping; real data need a key of one's own.
PHANTOM_KEY = "phantom-data-need-no-secret"


@dataclass(frozen=True)
class Step:
    """One command.

    Attributes:
      name: of its mark in the chain's folder. title: what it does.
      command: arguments after ``python -m``.
      seconds: what it takes on two quiet cores, for the estimate of what is left.
      product: a path that is there whole once the step is done, if there is such a one.
      once: the command refuses to write its product again.
      always: the command knows itself what of it is done.
    """

    name: str
    title: str
    command: tuple[str, ...]
    seconds: float
    product: str | None = None
    once: bool = False
    always: bool = False

    def mark(self) -> list[str]:
        """What decides the step: its command, and what stands in the flag files it names."""
        named = [part.removeprefix("--flagfile=") for part in self.command if "flagfile=" in part]
        return [*self.command, *(Path(name).read_text(encoding="utf-8") for name in named)]


def run_step(step: Step, folder: Path, chain: str) -> bool:
    """Run a step unless it was done; returns whether it ran. Ends the program if it fails.

    Done means: the same command with the same flag files ended well, and what it made is there.

    Args:
      folder: of the chain. chain: what it is called in a sentence.
    """
    mark = folder / "done" / f"{step.name}.json"
    made = step.product is None or Path(step.product).exists()
    if not step.always:
        if made and mark.is_file() and json.loads(mark.read_text("utf-8")) == step.mark():
            return False
        if made and step.once and step.product:
            write_json(mark, step.mark())
            return False
    environment = {**os.environ, "LIVER_TF_SITE_KEY": PHANTOM_KEY}
    outcome = subprocess.run([sys.executable, "-m", *step.command], env=environment)
    if outcome.returncode:
        sys.exit(
            f"\n{chain} stopped: {step.name} ended with status {outcome.returncode}. The same "
            f"command goes on from here; to begin anew, remove the folder {folder}."
        )
    write_json(mark, step.mark())
    return True


def run_chain(plan: Sequence[Step], folder: Path, chain: str) -> list[str]:
    """Run all steps in order, with the time left; returns the names of those that ran."""
    began = time.monotonic()
    expected_so_far = 0.0
    ran = []
    for number, step in enumerate(plan, 1):
        left = sum(later.seconds for later in plan[number - 1 :])
        pace = (time.monotonic() - began) / expected_so_far if expected_so_far > 20 else 1.0
        print(
            f"\n== {number}/{len(plan)} {step.title} (about {minutes(left * pace)} left)\n"
            f"$ python -m {shlex.join(step.command)}",
            flush=True,
        )
        if run_step(step, folder, chain):
            ran.append(step.name)
            expected_so_far += step.seconds
        else:
            print("done before", flush=True)
    return ran


def minutes(seconds: float) -> str:
    """``3 min 05 s``."""
    return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"

"""A chain of commands on phantom data: printed before they run, skipped once done."""

import contextlib
import itertools
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liver_tf.atomic_files import write_json
from liver_tf.bounded_files import read_json
from liver_tf.command_line.flag_files import find_flag_file
from liver_tf.command_line.invocation import IN_CHAIN
from liver_tf.folder_lock import held_alone

#: Phantoms have no identity to protect; real data need a secret key.
PHANTOM_KEY = "phantom-data-need-no-secret"
_THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


@dataclass(frozen=True)
class ChainStep:
    """One command, ``python -m MODULE`` with its flags.

    Attributes:
      name: of the file that marks the step as done.
      title: what the step does, for the printed heading.
      seconds: duration on two idle cores, for the estimate of the time left.
      options: flags; a list repeats the flag.
      product: a path that exists once the step is done.
      once: the command refuses to overwrite its product.
      always: run the step each time; the command itself skips finished work.
      beside: run the step at the same time as the one before it; both then write to ``logs/``.
      threads: of TensorFlow and its libraries; None leaves the choice to them.
    """

    name: str
    title: str
    seconds: float
    module: str
    options: Mapping[str, Any]
    product: Path | None = None
    once: bool = False
    always: bool = False
    beside: bool = False
    threads: int | None = None

    @property
    def command(self) -> list[str]:
        """The arguments after ``python -m``."""
        lists = {name: v if isinstance(v, list) else [v] for name, v in self.options.items()}
        return [self.module, *(f"--{name}={v}" for name, values in lists.items() for v in values)]

    def signature(self) -> list[str]:
        """The command and the content of its flag files: a change of either reruns the step."""
        files = [part.removeprefix("--flagfile=") for part in self.command if "flagfile=" in part]
        return [*self.command, *(find_flag_file(name).read_text("utf-8") for name in files)]


@dataclass(frozen=True)
class ChainRun:
    """What a call of ``run_chain`` did; ``names`` are those of the steps that ran."""

    names: list[str]
    steps: int
    seconds: float

    def text(self) -> str:
        """A sentence for the end of the output."""
        return f"{len(self.names)} of {self.steps} steps ran in {format_duration(self.seconds)}."


def run_chain(steps: Sequence[ChainStep], folder: Path, chain: str) -> ChainRun:
    """Run the steps that are not done, in order.

    ``folder`` gets the marks of finished steps; ``chain`` is the name in messages, e.g. ``the
    demo``.

    Raises:
      SystemExit: A step fails.
      Refusal: ``output-busy``: another process runs a chain in ``folder``.
    """
    start = time.monotonic()
    with held_alone(folder):
        names = run_steps(steps, folder, chain)
    return ChainRun(names, len(steps), time.monotonic() - start)


def run_steps(steps: Sequence[ChainStep], folder: Path, chain: str) -> list[str]:
    """As ``run_chain``, for a caller that has locked ``folder``; returns the names of steps."""
    start = time.monotonic()
    expected_so_far = 0.0
    ran = []
    for number, step in enumerate(steps, 1):
        if step.beside:
            continue
        group = _group_from(steps, number - 1)
        expected = sum(later.seconds for later in steps[number - 1 :] if not later.beside)
        pace = (time.monotonic() - start) / expected_so_far if expected_so_far > 20 else 1.0
        for extra, each in enumerate(group):
            print(
                f"\n== {number + extra}/{len(steps)} {each.title} "
                f"(about {format_duration(expected * pace)} left)\n"
                f"$ python -m {shlex.join(each.command)}",
                flush=True,
            )
        done = _run_group(group, folder, chain)
        ran += [each.name for each, has_run in zip(group, done, strict=True) if has_run]
        if any(done):
            expected_so_far += step.seconds
        if not all(done):
            print("already done", flush=True)
    return ran


def _group_from(steps: Sequence[ChainStep], first: int) -> list[ChainStep]:
    """A step, and those that run beside it."""
    beside = itertools.takewhile(lambda step: step.beside, steps[first + 1 :])
    return [steps[first], *beside]


def _run_group(group: Sequence[ChainStep], folder: Path, chain: str) -> list[bool]:
    """Run steps at the same time; returns for each whether it ran."""
    if len(group) == 1:
        return [_run_step(group[0], folder, chain)]
    logs = [folder / "logs" / f"{step.name}.log" for step in group]
    print(f"the output is in {', '.join(map(str, logs))}", flush=True)
    with ThreadPoolExecutor(len(group)) as pool:
        return list(pool.map(_run_step, group, [folder] * len(group), [chain] * len(group), logs))


def _read_mark(path: Path) -> Any:
    """The signature of a finished step; None if there is none, or a damaged one."""
    try:
        return read_json(path)
    except (OSError, ValueError):
        return None


def _run_step(step: ChainStep, folder: Path, chain: str, log: Path | None = None) -> bool:
    """Run a step unless it is done; returns whether it ran.

    A step is done if the same command with the same flag files succeeded and its product exists.
    """
    mark = folder / "done" / f"{step.name}.json"
    exists = step.product is None or step.product.exists()
    if exists and not step.always:
        if _read_mark(mark) == step.signature():
            return False
        if step.once:
            write_json(mark, step.signature())
            return False
    environment = {**os.environ, "LIVER_TF_SITE_KEY": PHANTOM_KEY, IN_CHAIN: "1"}
    if step.threads:
        environment |= dict.fromkeys(_THREADS, str(step.threads))
    with contextlib.ExitStack() as files:
        output = None
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
            output = files.enter_context(open(log, "a", encoding="utf-8"))
        command = [sys.executable, "-m", *step.command]
        status = subprocess.run(
            command, env=environment, stdout=output, stderr=output and subprocess.STDOUT
        ).returncode
    if status:
        sys.exit(
            f"\n{chain} stopped: {step.name} ended with status {status}. Run the same command to "
            f"resume at this step, or delete the folder {folder} to start over."
        )
    write_json(mark, step.signature())
    return True


def format_duration(seconds: float) -> str:
    """``1 h 05 min`` or ``3 min 20 s``."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"

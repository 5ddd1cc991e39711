"""A cell carried out by a process of its own, wherever that runs: local, under a scheduler, in Ray.

A cell's folder, ``cells/fold1/hier_freeze/seed0`` of the study, holds ``log.txt`` (everything its
process printed, every start) and ``cell.json`` (with what it was begun, whether it ended well).
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from liver_tf import atomic_files, run_files
from liver_tf.folder_lock import locked_folder
from liver_tf.refusals import Refusal

DONE, FAILED, BUSY = "done", "failed", "busy"
BEGUN = "begun"

#: Of a cell that ended well and must be measured again; of one that was never begun.
STALE, NOT_BEGUN = "stale", "-"

MEMO, LOG = "cell.json", "log.txt"

#: So much of a log is shown of a cell that failed.
_LINES = 12


@dataclass(frozen=True)
class CellJob:
    """A cell to be carried out.

    Attributes:
      name: ``fold1/hier_freeze/seed0``. folder: its own in the study. run: where the network lies.
      arguments: of ``command``, a module. working_folder: where it is started.
      made_of: all that decides the result beside fold, seed and who validates.
    """

    name: str
    folder: Path
    run: Path
    arguments: tuple[str, ...]
    working_folder: Path
    made_of: Mapping[str, Any]
    command: str = "trainers.cell"

    @cached_property
    def log(self) -> Path:
        return self.folder / LOG

    def memo(self) -> dict:
        """What ``cell.json`` holds; empty where there is none, or no sound one."""
        return read_memo(self.folder / MEMO)

    def was_started(self) -> bool:
        """Whether it was started with the same settings, whatever became of it."""
        return self.memo().get("made_of") == json.loads(json.dumps(self.made_of))

    def is_done(self) -> bool:
        """Whether it ended well with the same settings, and its measures are still there."""
        memo = self.memo()
        return (
            memo.get("state") == DONE
            and self.was_started()
            and run_files.results_file(self.run).is_file()
        )

    def state(self) -> str:
        """``done``, ``begun``, ``failed``, ``-``, or ``stale``: done, and its measures are gone."""
        if self.is_done():
            return DONE
        noted = self.memo().get("state", NOT_BEGUN)
        return STALE if noted == DONE else noted


@dataclass(frozen=True)
class Outcome:
    """What became of a cell.

    ``state``: ``done``, ``failed``, or ``busy`` where another process has it in hand. ``told``: of
    a failed one the end of its log. ``seconds``: of its training and of its measuring; empty where
    it did not run here from its beginning.
    """

    name: str
    state: str
    told: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)


def read_memo(path: Path) -> dict:
    """A cell's memo; empty where there is none, or no sound one."""
    try:
        memo = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return memo if isinstance(memo, dict) else {}


def carry_out(job: CellJob) -> Outcome:
    """Run a cell in a process of its own, unless it is done or in other hands.

    A process that outlives this one goes on holding the cell: it stays ``busy`` until that ends.
    """
    try:
        job.folder.mkdir(parents=True, exist_ok=True)
        with locked_folder(job.folder) as lock:
            return Outcome(job.name, DONE) if job.is_done() else _carry_out(job, lock)
    except Refusal as refusal:
        if refusal.code == "output-busy":
            return Outcome(job.name, BUSY)
        return Outcome(job.name, FAILED, refusal.text_with_path())
    except OSError as error:
        return Outcome(job.name, FAILED, str(error))


def _carry_out(job: CellJob, lock: int) -> Outcome:
    from_its_beginning = not (job.run / run_files.IDENTITY).exists()
    began = time.time()
    _note(job, BEGUN)
    command = [sys.executable, "-m", job.command, *job.arguments]
    with open(job.log, "a", encoding="utf-8") as log:
        log.write(f"\n$ python -m {shlex.join(command[2:])}\n")
        log.flush()
        status = subprocess.run(
            command,
            cwd=job.working_folder,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=(lock,),
            check=False,
        ).returncode
    if status:
        _note(job, FAILED)
        ended = f"status {status}" if status > 0 else f"signal {-status}"
        return Outcome(job.name, FAILED, f"ended with {ended}; {job.log} ends:\n{_end(job.log)}")
    seconds = {}
    if from_its_beginning:
        trained = (job.run / run_files.WEIGHTS).stat().st_mtime
        seconds = {"training": trained - began, "measuring": time.time() - trained}
    _note(job, DONE, seconds)
    return Outcome(job.name, DONE, seconds=seconds)


def _note(job: CellJob, state: str, seconds: Mapping[str, float] | None = None) -> None:
    atomic_files.write_json(
        job.folder / MEMO,
        {
            "cell": job.name,
            "state": state,
            "made_of": job.made_of,
            "arguments": list(job.arguments),
            "seconds": {name: round(value, 1) for name, value in (seconds or {}).items()},
        },
    )


def _end(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(f"    {line}" for line in lines[-_LINES:])

"""One run of a study in a process: local, under a scheduler, or on a Ray cluster.

The run's folder, e.g. ``cells/fold1/hier_freeze/seed0``, holds ``log.txt`` (the output of its
processes) and ``cell.json`` (settings, state and duration).
"""

import json
import os
import shlex
import subprocess
import sys
import textwrap
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from liver_tf import atomic_files, run_files
from liver_tf.folder_lock import locked_folder
from liver_tf.refusals import Refusal
from liver_tf.results.study_inventory import OUTCOME, read_object
from liver_tf.studies.shared_process import SharedProcess

BEGUN, DONE, FAILED, BUSY = "begun", "done", "failed", "busy"

#: Additional states of ``--list``: done, but the measures are missing; never started.
_STALE, _NOT_BEGUN = "stale", "-"

#: Lines of a failed run's log that are shown.
_LOG_LINES = 12


@dataclass(frozen=True)
class StudyJob:
    """A run of a study to be executed.

    Attributes:
      name: e.g. ``fold1/hier_freeze/seed0``.
      folder: of the log and the status.
      run: folder of the trained network.
      arguments: of ``command``, which is a module; paths are relative to ``working_folder``.
      made_of: everything that decides the result, apart from fold, seed and validation.
      process: jobs with the same text can share a process; empty for one that needs its own.
      needs: name of a job that must end before this one starts; empty if there is none.
    """

    name: str
    folder: Path
    run: Path
    arguments: tuple[str, ...]
    made_of: Mapping[str, Any]
    command: str = "trainers.cell"
    working_folder: Path = field(default_factory=Path.cwd)
    process: str = ""
    needs: str = ""

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    def status(self) -> dict:
        """The content of ``cell.json``; empty if it is missing or damaged."""
        return read_object(self.folder / OUTCOME)

    def is_done(self) -> bool:
        """Whether the run succeeded with the same settings, and its measures still exist."""
        status = self.status()
        return (
            status.get("state") == DONE
            and status.get("made_of") == json.loads(json.dumps(self.made_of))
            and run_files.results_file(self.run).is_file()
        )

    def state(self) -> str:
        """``done``, ``begun``, ``failed``, ``-``, or ``stale`` (done, but without measures)."""
        if self.is_done():
            return DONE
        stored = self.status().get("state", _NOT_BEGUN)
        return _STALE if stored == DONE else stored


@dataclass(frozen=True)
class JobResult:
    """How a job ended.

    Attributes:
      state: ``done``, ``failed``, or ``busy`` if another process is executing it.
      error: reason of a failure, with the end of the log.
      seconds: of ``training`` and ``measuring``; empty if the run resumed or was already done.
    """

    name: str
    state: str
    error: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)


def execute_job(job: StudyJob, process: SharedProcess | None = None) -> JobResult:
    """Run a job in ``process``, unless it is done or another process executes it.

    Without ``process`` it gets a separate one. If this process is killed, the job's process
    continues and keeps the lock of the job's folder; until it ends, the job is ``busy``.
    """
    try:
        job.folder.mkdir(parents=True, exist_ok=True)
        with locked_folder(job.folder) as lock:
            return JobResult(job.name, DONE) if job.is_done() else _run_process(job, lock, process)
    except Refusal as refusal:
        if refusal.code == "output-busy":
            return JobResult(job.name, BUSY)
        return JobResult(job.name, FAILED, refusal.text_with_path())
    except OSError as error:
        return JobResult(job.name, FAILED, str(error))


def _run_process(job: StudyJob, lock: int, process: SharedProcess | None) -> JobResult:
    from_beginning = not (job.run / run_files.IDENTITY).exists()
    start = time.time()
    _write_status(job, BEGUN)
    command = [sys.executable, "-m", job.command, *job.arguments]
    with open(job.log, "a", encoding="utf-8") as log:
        log.write(f"\n$ python -m {shlex.join(command[2:])}\n")
        log.flush()
        if process is not None:
            status = process.run(job.arguments, job.working_folder, log.fileno(), lock)
        else:
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
        _write_status(job, FAILED)
        reason = f"status {status}" if status > 0 else f"signal {-status}"
        lines = job.log.read_text(encoding="utf-8", errors="replace").splitlines()
        end = textwrap.indent("\n".join(lines[-_LOG_LINES:]), "    ")
        return JobResult(job.name, FAILED, f"ended with {reason}; the end of {job.log}:\n{end}")
    seconds = {}
    if from_beginning:
        trained = (job.run / run_files.WEIGHTS).stat().st_mtime
        seconds = {"training": trained - start, "measuring": time.time() - trained}
    _write_status(job, DONE, seconds)
    return JobResult(job.name, DONE, seconds=seconds)


def _write_status(job: StudyJob, state: str, seconds: Mapping[str, float] | None = None) -> None:
    status = {
        "cell": job.name,
        "state": state,
        "made_of": job.made_of,
        "arguments": list(job.arguments),
        "seconds": {name: round(value, 1) for name, value in (seconds or {}).items()},
    }
    atomic_files.write_json(job.folder / OUTCOME, status)

"""Processes that are started in order to be killed, and the visible files that they leave."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from liver_tf.atomic_files import TEMPORARY_MARK

ROOT = Path(__file__).resolve().parents[2]
KEY = "a key for the campaign, no secret"
LONGEST_S = 1800.0


class Victim:
    """A running ``python -m MODULE ARGUMENTS``, in its own process group.

    Attributes:
      log: File for its output.
    """

    def __init__(self, log: Path, module: str, *arguments: str | Path) -> None:
        self.log = log
        with open(log, "w") as log_file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *map(str, arguments)],
                cwd=ROOT,
                env={**os.environ, "LIVER_TF_SITE_KEY": KEY},
                stdout=log_file,
                stderr=log_file,
                start_new_session=True,
            )

    def running(self) -> bool:
        return self._process.poll() is None

    def wait_until(self, moment: Callable[[], bool]) -> bool:
        """Wait until ``moment()`` is true; False if the process ends first."""
        end = time.monotonic() + LONGEST_S
        while self.running():
            if moment():
                return True
            if time.monotonic() > end:
                self.kill("group")
                raise TimeoutError(f"a process took longer than {LONGEST_S:g} s: {self.output()}")
            time.sleep(0.001)
        return False

    def finish(self) -> int:
        """Wait for the process to end; return its exit status."""
        self.wait_until(lambda: False)
        return self._process.wait()

    def kill(self, target: str) -> str:
        """Send SIGKILL to the ``parent``, a ``worker`` (the parent if there is none) or the group.

        Waits for the process, but not for its workers. Returns the target that was killed.
        """
        workers = self.workers() if target == "worker" else []
        if workers:
            os.kill(workers[0], signal.SIGKILL)
            self.finish()
            return "worker"
        if target == "group":
            os.killpg(self._process.pid, signal.SIGKILL)
        else:
            self._process.kill()
            target = "parent"
        self._process.wait()
        return target

    def workers(self) -> list[int]:
        """Process ids of the workers."""
        pids = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((path / "stat").read_text().rsplit(")", 1)[1].split()[1])
                command = (path / "cmdline").read_bytes()
            except OSError:
                continue
            if parent == self._process.pid and b"resource_tracker" not in command:
                pids.append(int(path.name))
        return sorted(pids)

    def output(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]


def visible_files(folder: Path) -> dict[str, bytes]:
    """Contents of all files that a reader would open, by relative path."""
    contents = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith(TEMPORARY_MARK):
            contents[path.relative_to(folder).as_posix()] = path.read_bytes()
    return contents


def spread(count: int, duration_s: float, random) -> list[float]:
    """Moments in random order, one in each of ``count`` equal parts of a duration."""
    moments = [(place + random.random()) / count * duration_s for place in range(count)]
    random.shuffle(moments)
    return moments

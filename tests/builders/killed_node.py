"""The command ``listen`` as a process that is killed while series arrive."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

from tests.builders.dicom_node import ARCHIVE, NODE, associated
from tests.builders.orthanc import free_port

ROOT = Path(__file__).parents[2]


class ListenProcess:
    """Starts ``listen`` with thresholds or runs; its log is in ``folder / "log"``."""

    def __init__(self, folder, archive, module="tests.builders.threshold_node", port=None, **flags):
        self.folder, self.port = folder, port or free_port()
        values = {
            "port": self.port,
            "ae_title": NODE,
            "allow": ARCHIVE,
            "send_to": archive,
            "spool": folder / "spool",
            "complete_after": 1,
            "incomplete_after": 300,
            "min_free_gb": 0,
            **flags,
        }
        command = [f"--{name}={value}" for name, value in values.items()]
        self._command = [sys.executable, "-m", module, *command]
        self.process = None

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                self._command, cwd=ROOT, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def wait_until_it_listens(self, seconds=120):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert self.process.poll() is None, self.log()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.1)
        raise AssertionError(self.log())

    def kill(self):
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """Stop it as systemd does; returns its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(120)

    def log(self):
        return (self.folder / "log").read_text(errors="replace")


class PatientSender(threading.Thread):
    """Sends series one after the other, each until the end of its association is confirmed.

    A sender that is content with the acknowledgement of the last object leaves a gap: if the node
    is killed before the association ends, it cannot know whether more was to come (``incomplete``).
    """

    def __init__(self, port, series):
        super().__init__(daemon=True)
        self._port, self._series, self.repeated = port, series, 0

    def run(self):
        for paths in self._series:
            while not self._is_sent(paths):
                self.repeated += 1
                time.sleep(0.3)

    def _is_sent(self, paths):
        try:
            with associated(self._port) as association:
                stored = [association.send_c_store(path).get("Status") for path in paths]
            return stored == [0] * len(paths) and association.is_released
        except (AssertionError, RuntimeError, AttributeError):  # no association, or it ended
            return False


def kill_while_forwarding(listening, forward, count):
    """Kill the node while an archive forwards a series; returns how many objects had arrived.

    Args:
      forward: Gives the series, of ``count`` objects, to the archive.
    """
    listening.start()
    listening.wait_until_it_listens()
    forward()
    arriving = listening.folder / "spool" / "arriving"
    end = time.monotonic() + 60
    while len(list(arriving.rglob("*.dcm"))) < count // 10:
        assert time.monotonic() < end, listening.log()
        time.sleep(0.01)
    listening.kill()
    arrived = len(list(arriving.rglob("*.dcm")))
    assert 0 < arrived < count
    return arrived


def kill_while_sending(listening, series, kills, seed):
    """Kill the node at random moments while series arrive; it runs when this returns."""
    random = np.random.default_rng(seed)
    started = time.monotonic()
    listening.start()
    listening.wait_until_it_listens()
    startup = time.monotonic() - started
    sender = PatientSender(listening.port, series)
    sender.start()
    # Also while it starts, and while it predicts and sends.
    for delay in random.uniform(0, startup + 3, kills):
        time.sleep(delay)
        listening.kill()
        listening.start()
    sender.join(600)
    assert not sender.is_alive(), listening.log()
    # All may have been sent before the last kill. Before it listens, SIGTERM ends it at once.
    listening.wait_until_it_listens()
    return sender

"""Processes: order of results, killed workers, and workers that end with their parent."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from liver_tf.conversion.process_engine import in_processes
from liver_tf.refusals import Refusal
from tests.builders.phantom_sets import ROOT


def test_a_killed_worker_is_refused():
    with pytest.raises(Refusal, match=r"worker-died.*Lower --workers"):
        list(in_processes(os._exit, [1, 1], workers=2))


def test_results_come_in_order():
    assert list(in_processes(abs, range(-8, 0), workers=2)) == list(range(8, 0, -1))


def test_workers_end_with_their_parent():
    code = (
        "import multiprocessing, threading, time, sys\n"
        "from liver_tf.conversion.process_engine import in_processes\n"
        "if __name__ == '__main__':\n"
        "    work = threading.Thread(target=lambda: list(in_processes(time.sleep, [60, 60], 2)))\n"
        "    work.start()\n"
        "    time.sleep(1.5)\n"
        "    print(*(p.pid for p in multiprocessing.active_children()), flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # messages of the killed parent's resource tracker
    ) as parent:
        workers = [int(pid) for pid in parent.stdout.readline().split()]
        parent.kill()
    assert workers
    deadline = time.monotonic() + 10
    while any(map(alive, workers)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"

"""A job that crashes, hangs or uses too much memory is reported; the remaining jobs are done."""

from __future__ import annotations

import contextlib
import os
import time

import numpy as np

from tests.campaigns.guarded import Lost, guarded


def misbehave(worker):
    def work(job):
        if job == 1:
            os.abort()
        if job == 2:
            time.sleep(60)
        if job == 3:
            np.empty(1 << 28)  # 2 GiB, freed immediately
        if job == 4:
            with contextlib.suppress(MemoryError):
                np.empty(1 << 31)
        return "done"

    return work


def test_a_process_that_crashes_hangs_or_exceeds_its_memory_loses_one_job():
    results = dict(guarded(misbehave, (), range(6), workers=1, limit_s=1, limit_bytes=3 << 29))
    assert results == {
        0: "done",
        1: Lost("the process died: SIGABRT"),
        2: Lost("no answer within 1 s"),
        3: Lost("asked for 2048 MiB"),
        4: "done",  # memory that was not allocated does no harm
        5: "done",
    }

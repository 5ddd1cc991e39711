"""The cells of a study, carried out by an engine until each has ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from liver_tf.studies.cell_process import BUSY, DONE, CellJob, Outcome
from liver_tf.studies.engines import Engine
from liver_tf.studies.study_progress import Progress, Work

_LOOK_SECONDS = 1.0


def carry_out_left(
    jobs: Sequence[CellJob], work: Mapping[str, Work], make_engine: Callable[[], Engine]
) -> list[Outcome]:
    """Carry out what is not done of some cells, shown as one progress; the engine only if needed.

    Returns what became of those that failed.
    """
    progress = Progress(jobs, work)
    if not progress.left:
        progress.close()
        return []
    engine = make_engine()
    try:
        return carry_out_all(progress.left, engine, progress)
    finally:
        progress.close()
        engine.close()


def carry_out_all(jobs: Sequence[CellJob], engine: Engine, progress: Progress) -> list[Outcome]:
    """Carry out cells, in their order as far as the engine has room; a failed one stops no other.

    Cells that another process has in hand are come back to after the others, until they have
    ended: so a study may be started several times at once, and they share its cells.

    Returns what became of those that failed.
    """
    failed = []
    by_name = {job.name: job for job in jobs}
    to_begin, busy, running = list(jobs), [], {}
    while to_begin or busy or running:
        running |= {engine.begin(job): job.name for job in to_begin}
        to_begin = []
        for handle in engine.ended(running, _LOOK_SECONDS):
            outcome = engine.outcome(handle)
            job = by_name[running.pop(handle)]
            if outcome.state == BUSY:
                busy.append(job)
                continue
            progress.ended(outcome)
            if outcome.state != DONE:
                failed.append(outcome)
        progress.look([job.name for job in busy] if not running else ())
        if busy and not running:
            time.sleep(_LOOK_SECONDS)
            to_begin, busy = busy, []
    return failed

"""Progress of a long loop: a bar on a terminal; in a pipe or log file, one line per minute."""

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from liver_tf.counted import counted

#: Seconds between two lines.
LINE_S = 60.0

_Step = TypeVar("_Step")


def with_progress(
    steps: Iterable[_Step], title: str, unit: str, total: int | None = None
) -> Iterator[_Step]:
    """Yield the steps, and show on standard error how many are done.

    Args:
      unit: Noun for a step; its plural must end in s.
      total: Number of steps, if ``steps`` has no length.
    """
    from tqdm import tqdm

    if total is None and isinstance(steps, Sized):
        total = len(steps)
    bar = tqdm(steps, desc=title, unit=unit, total=total, disable=None)
    if not bar.disable:
        yield from bar
        return
    shown = time.monotonic()
    for done, step in enumerate(steps):
        if time.monotonic() - shown >= LINE_S:
            shown = time.monotonic()
            what = counted(done, unit) if total is None else f"{done} of {counted(total, unit)}"
            print(f"{title}: {what}", file=sys.stderr, flush=True)
        yield step

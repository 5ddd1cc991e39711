"""Two conversions into one folder: one is refused, and the result is that of one alone."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path

from tests.campaigns.kill_conversion import Conversion
from tests.campaigns.victims import visible_files


def campaign(
    conversion: Conversion, folder: Path, count: int, seed: int
) -> tuple[Counter, list[str]]:
    """Start a conversion twice, the second time within the duration of the first, mostly soon.

    Much of that duration is the start of the program, so later ones find the folder free again.

    Returns:
      The number of pairs by outcome (``refused``, ``one after the other``), and what went wrong.
    """
    outcomes: Counter = Counter()
    wrong = []
    for number in range(count):
        generator = random.Random(f"{seed} {number}")
        output = folder / f"pair{number}"
        first = conversion.start(output, log="first")
        time.sleep(generator.random() ** 3 * conversion.duration_s)
        second = conversion.start(output, log="second")
        statuses = {first.finish(), second.finish()}
        refused = any("[output-busy]" in each.output() for each in (first, second))
        outcomes["refused" if refused else "one after the other"] += 1
        if statuses - {0, 1} or (0 not in statuses) or ((1 in statuses) != refused):
            wrong.append(f"pair {number}: statuses {statuses}: {first.output()} {second.output()}")
        files = visible_files(output)
        wrong += [
            f"pair {number}: {name} differs from that of one command alone"
            for name in sorted({*files, *conversion.reference})
            if files.get(name) != conversion.reference.get(name)
        ]
    return outcomes, wrong

"""The parts of a campaign, one after the other, each in a folder of its own."""

from __future__ import annotations

import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path

#: Folder, number of cases and seed to what happened, for the printed line, and what went wrong.
Part = Callable[[Path, int, int], tuple[str, list[str]]]


def run_parts(parts: Mapping[str, Part], options: Namespace) -> int:
    """Run the parts whose option is not 0; returns the exit status, 1 if anything went wrong."""
    failures = []
    for name, part in parts.items():
        count = getattr(options, name)
        if not count:
            continue
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            happened, wrong = part(Path(folder), count, options.seed)
        seconds = time.monotonic() - began
        print(f"{name}: {happened}; {seconds:.0f} s, {len(wrong)} wrong", flush=True)
        failures += [f"{name}: {line}" for line in wrong]
    for line in failures:
        print(f"WRONG {line}")
    return 1 if failures else 0

"""Two writers on one folder, flipped bits, bombs, a hostile server: refused, or nothing changes.

    python -m tests.campaigns.hostile --writers=20 --flips=300 --answers=3000 --seed=0

Prints the outcomes; exits with status 1 if results were mixed, damage was accepted, an answer was
invented, or anything but a refusal was raised.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from liver_tf.inference import postprocessing
from liver_tf.inference.postprocessing import PostProcessing
from liver_tf.phantom.phantom_plan import PhantomPlan
from tests.builders.bundled_runs import save_run
from tests.campaigns import bombs, flipped_bits, hostile_server, two_writers
from tests.campaigns.kill_conversion import Conversion
from tests.campaigns.parts import Part, run_parts

PLAN = PhantomPlan(seed=3, lits_volumes=0, patients=60, matrix=256)

#: Outcomes by reason code, and what went wrong.
Found = tuple[Counter, list[str]]


def write_twice(folder: Path, count: int, seed: int) -> Found:
    """Two conversions into one folder."""
    return two_writers.campaign(Conversion(folder, PLAN), folder, count, seed)


def flip_bits(folder: Path, count: int, seed: int) -> Found:
    """A run, a version folder of a model, and a record set."""
    run = save_run(folder / "run", "typed")
    postprocessing.save(run, PostProcessing(0.4), {})
    model = hostile_server.write_model(folder / "1")
    Conversion(folder, PhantomPlan(seed=3, lits_volumes=0, patients=9, matrix=64))
    outcomes: Counter = Counter()
    wrong = []
    for read, place in (
        (flipped_bits.read_run, run),
        (flipped_bits.read_model, model),
        (flipped_bits.read_records, folder / "undisturbed"),
    ):
        found, more = flipped_bits.campaign(place, read, count, seed)
        outcomes += found
        wrong += more
    return outcomes, wrong


def read_bombs(folder: Path, count: int, seed: int) -> Found:
    """Every bomb once."""
    del count, seed
    return bombs.campaign(folder)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--writers", type=int, default=20, help="pairs of conversions")
    parser.add_argument("--flips", type=int, default=300, help="damages of each folder")
    parser.add_argument("--answers", type=int, default=3000, help="answers of a hostile server")
    parser.add_argument("--bombs", type=int, default=1, help="0 to leave them out")
    parser.add_argument("--seed", type=int, default=0, help="seed of the damage")
    options = parser.parse_args(arguments)
    parts = {
        "answers": hostile_server.campaign,
        "flips": flip_bits,
        "writers": write_twice,
        "bombs": read_bombs,
    }
    return run_parts({name: _in_words(part) for name, part in parts.items()}, options)


def _in_words(part: Callable[[Path, int, int], Found]) -> Part:
    def run(folder: Path, count: int, seed: int) -> tuple[str, list[str]]:
        outcomes, wrong = part(folder, count, seed)
        return ", ".join(f"{code} {number}" for code, number in outcomes.most_common()), wrong

    return run


if __name__ == "__main__":
    sys.exit(main())

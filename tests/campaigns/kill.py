"""Kill conversions and trainings at random moments, fill the disk, and check all results.

    python -m tests.campaigns.kill --conversion=50 --training=30 --disk=24 --seed=0

Prints a summary; exits with status 1 if a half-written file was visible, or if a result differs
from that of the undisturbed run.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from liver_tf.phantom.phantom_plan import PhantomPlan
from tests.builders import tiny_records
from tests.campaigns import full_disk, kill_conversion, kill_training
from tests.campaigns.parts import run_parts
from tests.campaigns.six_cycles import CYCLES

PLAN = PhantomPlan(seed=3, lits_volumes=0, patients=60, matrix=256)
CHAIN = 5


def kill_conversions(folder: Path, count: int, seed: int) -> tuple[str, list[str]]:
    """A part of the campaign: its summary, and what went wrong."""
    conversion = kill_conversion.Conversion(folder, PLAN)
    kills = kill_conversion.random_kills(count, conversion.duration_s, seed)
    with tqdm(total=count, desc="kill conversions") as bar:
        outcome = kill_conversion.campaign(conversion, folder, kills, CHAIN, bar.update)
    hit = ", ".join(f"{number} {whom}" for whom, number in sorted(outcome.kills.items()))
    summary = (
        f"{conversion.duration_s:.1f} s undisturbed, {outcome.kills.total()} kills "
        f"({hit}; {outcome.refused} refused as worker-died), {outcome.same} of {outcome.chains} "
        "chains ended with the files of the undisturbed conversion"
    )
    return summary, outcome.wrong


def kill_trainings(folder: Path, count: int, seed: int) -> tuple[str, list[str]]:
    """A part of the campaign: its summary, and what went wrong."""
    (folder / "records").mkdir()
    tiny_records.write_set(folder / "records", patients=8)
    run = kill_training.Run(folder, folder / "records", CYCLES)
    plans = kill_training.random_plans(count, run.duration_s, CYCLES, seed)
    with tqdm(total=count, desc="kill trainings") as bar:
        outcome = kill_training.campaign(run, folder, plans, tick=bar.update)
    summary = (
        f"{CYCLES} cycles, {run.duration_s:.1f} s undisturbed, {outcome.kills} kills, "
        f"{outcome.same} of {outcome.runs} runs ended bit for bit like the undisturbed run"
    )
    return summary, outcome.wrong


def fill_disks(folder: Path, count: int, seed: int) -> tuple[str, list[str]]:
    """A part of the campaign: its summary, and what went wrong."""
    del seed
    reason = full_disk.why_not()
    if reason:
        return f"skipped: {reason}", []
    return f"{count} sizes", full_disk.in_a_namespace(folder, count)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--conversion", type=int, default=50, help="number of kills of conversions")
    parser.add_argument("--training", type=int, default=30, help="number of trainings to kill")
    parser.add_argument("--disk", type=int, default=24, help="number of disk sizes")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random moments")
    options = parser.parse_args(arguments)
    parts = {"conversion": kill_conversions, "disk": fill_disks, "training": kill_trainings}
    return run_parts(parts, options)


if __name__ == "__main__":
    sys.exit(main())

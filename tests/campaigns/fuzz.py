"""Pass thousands of damaged files to the readers: each is refused or read correctly.

    python -m tests.campaigns.fuzz --inputs=3000 --seed=0

Prints the outcomes; exits with status 1 if the program crashed, hung, requested too much memory,
accepted changed pixels despite a checksum, or printed protected content of a file.
"""

from __future__ import annotations

import argparse
import collections
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from tests.campaigns.fuzz_judge import Judge, Verdict, make_mutant
from tests.campaigns.fuzz_kinds import CANARY, make_kinds
from tests.campaigns.guarded import Lost, guarded

#: Wall time after which a process is killed. ``fuzz_judge`` limits its processor time.
LIMIT_S = 60.0
LIMIT_BYTES = 3 << 29  # 1.5 GiB


@dataclass
class Tally:
    """Outcomes of all mutants."""

    outcomes: collections.Counter = field(default_factory=collections.Counter)
    codes: dict[str, collections.Counter] = field(default_factory=dict)
    troubles: list[Verdict] = field(default_factory=list)
    slowest: Verdict | None = None

    def add(self, verdict: Verdict) -> None:
        self.outcomes[verdict.kind, verdict.outcome] += 1
        self.codes.setdefault(verdict.kind, collections.Counter()).update(set(verdict.codes))
        if verdict.trouble:
            self.troubles.append(verdict)
        if self.slowest is None or verdict.seconds > self.slowest.seconds:
            self.slowest = verdict


def campaign(
    inputs: range,
    seed: int,
    *,
    workers: int,
    keep: Path,
    progress: Callable = lambda results, total: results,
) -> Tally:
    """Judge the mutants with these numbers; files that reveal a defect are kept in ``keep``."""
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "here").mkdir()
        kinds = make_kinds(Path(folder) / "here")
        results = guarded(
            make_judge,
            (folder, seed),
            inputs,
            workers=workers,
            limit_s=LIMIT_S,
            limit_bytes=LIMIT_BYTES,
        )
        for number, result in progress(results, len(inputs)):
            if isinstance(result, Verdict) and not result.trouble:
                tally.add(result)
                continue
            mutant = make_mutant(kinds, seed, number)
            if isinstance(result, Lost):
                result = Verdict(
                    number, mutant.kind, mutant.route, "trouble", (), LIMIT_S, result.why
                )
            tally.add(result)
            keep.mkdir(parents=True, exist_ok=True)
            name = f"{seed}-{number}-{kinds[mutant.kind].victim.name.removeprefix(CANARY)}"
            (keep / name).write_bytes(mutant.data)
    return tally


def make_judge(folder: str, seed: int, worker: int) -> Callable[[int], Verdict]:
    """Return the function that a worker applies to each number."""
    worker_folder = Path(tempfile.mkdtemp(prefix=f"worker{worker}-", dir=folder))
    return Judge(worker_folder, seed).judge


def text_of(tally: Tally) -> str:
    """The tables that the command prints."""
    names = ("refused", "equal", "changed", "trouble")
    head = ("kind", "refused", "accepted: same", "accepted: other", "trouble")
    lines = ["{:<18}{:>9}{:>16}{:>17}{:>9}".format(*head)]
    kinds = sorted({kind for kind, _ in tally.outcomes})
    for kind in kinds:
        counts = [tally.outcomes[kind, name] for name in names]
        lines.append("{:<18}{:>9}{:>16}{:>17}{:>9}".format(kind, *counts))
    totals = [sum(tally.outcomes[kind, name] for kind in kinds) for name in names]
    lines += ["{:<18}{:>9}{:>16}{:>17}{:>9}".format("all", *totals), "", "refused by code:"]
    for kind in kinds:
        codes = ", ".join(f"{code} {count}" for code, count in tally.codes[kind].most_common())
        lines.append(f"  {kind}: {codes or 'none'}")
    if tally.slowest is not None:
        slowest = tally.slowest
        lines += [
            "",
            f"slowest: {slowest.kind} number {slowest.number}, {slowest.seconds:.2f} s of CPU",
        ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=3000, help="damaged files")
    parser.add_argument("--seed", type=int, default=0, help="seed of the damage")
    parser.add_argument("--only", type=int, help="read only the damaged file with this number")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--keep", type=Path, help="folder for files that reveal a defect")
    options = parser.parse_args(arguments)
    keep = options.keep or Path(tempfile.gettempdir()) / "liver_tf-fuzz"
    inputs = (
        range(options.inputs) if options.only is None else range(options.only, options.only + 1)
    )
    began = time.monotonic()
    tally = campaign(
        inputs,
        options.seed,
        workers=min(options.workers, len(inputs)),
        keep=keep,
        progress=lambda results, total: tqdm(results, total=total, desc="fuzz", unit="file"),
    )
    print(text_of(tally))
    print(f"{len(inputs)} files, seed {options.seed}, {time.monotonic() - began:.0f} s")
    for verdict in tally.troubles:
        print(
            f"TROUBLE {verdict.kind}, route {verdict.route}: {verdict.trouble}\n"
            f"  again: python -m tests.campaigns.fuzz --seed={options.seed} --only={verdict.number}"
        )
    if tally.troubles:
        print(f"{len(tally.troubles)} of them revealed a defect; see {keep}")
    return 1 if tally.troubles else 0


if __name__ == "__main__":
    sys.exit(main())

"""Fill the disk at every stage of a conversion or training: it is refused, and files stay atomic.

The disk is a small memory file system in a private mount namespace, so nothing remains of it;
:func:`why_not` returns the reason if the machine does not permit this.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from liver_tf.atomic_files import TEMPORARY_MARK
from liver_tf.phantom.phantom_plan import PhantomPlan
from tests.builders import tiny_records
from tests.campaigns.kill_conversion import Conversion
from tests.campaigns.kill_training import half_written
from tests.campaigns.victims import ROOT, Victim, visible_files

PAGE = 4096
PLAN = PhantomPlan(seed=3, lits_volumes=0, patients=9, matrix=64)
_NAMESPACE = ("unshare", "--map-root-user", "--mount")
_ENOUGH = 1 << 28
#: Disk sizes as shares of the largest need. Only a few, because a training starts slowly.
TRAINING_SHARES = (0.02, 0.3, 0.6, 0.95)


def why_not() -> str:
    """Reason why no small disk can be mounted here; empty if one can."""
    if shutil.which(_NAMESPACE[0]) is None:
        return "there is no command unshare"
    attempt = subprocess.run(
        [*_NAMESPACE, "mount", "-t", "tmpfs", "-o", "size=64k", "none", "/mnt"],
        capture_output=True,
        check=False,
    )
    return "" if attempt.returncode == 0 else "mounting a memory file system is not permitted"


def in_a_namespace(folder: Path, points: int, training: bool = True) -> list[str]:
    """Run the campaign in a mount namespace; return what went wrong."""
    done = subprocess.run(
        [*_NAMESPACE, sys.executable, "-m", __name__, str(folder), str(points), str(int(training))],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines() or [""]
    print("\n".join(lines[:-1]))
    if done.returncode != 0:
        return [f"the campaign itself failed: {lines[-1]}"]
    return json.loads(lines[-1])


@contextlib.contextmanager
def small_disk(place: Path, size: int) -> Iterator[Path]:
    """A file system of ``size`` bytes at ``place``."""
    place.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={size}", "none", place)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
        place.rmdir()


def enlarge(place: Path) -> None:
    """Free space on the disk."""
    _mount("-o", f"remount,size={_ENOUGH}", place)


def _mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True)


def pages_of(files: dict[str, bytes]) -> int:
    """Number of pages that the files occupy on a memory file system."""
    return sum(-(-len(data) // PAGE) for data in files.values())


def sizes(needed: int, points: int) -> list[int]:
    """Disk sizes that are too small, in pages; dense at the end, for manifest and folds."""
    last = range(max(needed - points // 3, 1), needed)
    spread_points = points - len(last)
    spread = {max(round(last.start * number / spread_points), 1) for number in range(spread_points)}
    return sorted(spread | set(last))


def fill_conversions(folder: Path, points: int) -> list[str]:
    """Convert on disks of many sizes; return what went wrong."""
    conversion = Conversion(folder, PLAN)
    needed = pages_of(conversion.reference)
    wrong = []
    tested = sizes(needed, points)
    for pages in tested:
        with small_disk(folder / "disk", pages * PAGE) as disk:
            workers = 1 + pages % 2
            status, output = conversion.finish(disk / "set", workers)
            if status != 1 or "[disk-full]" not in output or "Traceback" in output:
                wrong.append(f"{pages} pages: status {status}: {output}")
            wrong += [f"{pages} pages: {line}" for line in conversion.half_written(disk / "set")]
            wrong += [f"{pages} pages: {line}" for line in _leftovers(disk)]
            enlarge(disk)
            status, output = conversion.finish(disk / "set", workers)
            if status != 0 or visible_files(disk / "set") != conversion.reference:
                wrong.append(f"{pages} pages: after freeing space: status {status}: {output}")
    with small_disk(folder / "disk", needed * PAGE) as disk:
        status, output = conversion.finish(disk / "set", workers=1)
        if status != 0:
            wrong.append(f"{needed} pages should be enough: status {status}: {output}")
    print(f"full disk: {len(tested)} conversions of {needed} pages, on {tested[0]} to {tested[-1]}")
    return wrong


def fill_trainings(folder: Path) -> list[str]:
    """Pre-train on disks of a few sizes; return what went wrong."""
    records = folder / "records"
    records.mkdir()
    tiny_records.write_set(records, patients=6)

    def train(run: Path) -> tuple[int, str]:
        victim = Victim(
            folder / "training.log",
            "trainers.pretrain",
            "--network=lesion",
            f"--records={records}",
            f"--run={run}",
            "--image_size=32",
            "--base_filters=2",
            "--epochs=2",
        )
        return victim.finish(), victim.output()

    status, output = train(folder / "undisturbed")
    if status != 0:
        return [f"the undisturbed training failed: {output}"]
    weights = (folder / "undisturbed" / "weights.npz").read_bytes()
    largest = 3 * len(weights)  # an open cycle holds its best, its state and Adam's moments
    wrong = []
    for share in TRAINING_SHARES:
        with small_disk(folder / "disk", max(round(share * largest / PAGE), 1) * PAGE) as disk:
            status, output = train(disk / "run")
            if status != 1 or "[disk-full]" not in output or "Traceback" in output:
                wrong.append(f"training on {share:.0%}: status {status}: {output}")
            wrong += [f"training on {share:.0%}: {line}" for line in half_written(disk / "run")]
            wrong += [f"training on {share:.0%}: {line}" for line in _leftovers(disk)]
            enlarge(disk)
            status, output = train(disk / "run")
            if status != 0 or (disk / "run" / "weights.npz").read_bytes() != weights:
                wrong.append(
                    f"training on {share:.0%}, after freeing space: status {status}: {output}"
                )
    print(f"full disk: {len(TRAINING_SHARES)} trainings")
    return wrong


def _leftovers(disk: Path) -> list[str]:
    leftovers = [path.name for path in disk.rglob(f"{TEMPORARY_MARK}*")]
    return [f"left behind: {name}" for name in leftovers]


if __name__ == "__main__":
    place, count, with_training = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "1"
    failures = fill_conversions(place, count)
    if with_training:
        failures += fill_trainings(place)
    print(json.dumps(failures))

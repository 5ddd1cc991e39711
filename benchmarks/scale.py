"""How time, memory and disk grow with the data: the chain at 1/16, 1/4 and all of the real job.

    python -m benchmarks.scale --work=DIR
    python -m benchmarks.scale --work=DIR --sizes=1/64,1/16 --only=verify,convert_1

The real job: 131 volumes of 512 x 512 x 450 (LiTS). They are phantoms; each drawn slice is written
several times (``--repeat``), which changes the work of no step except decompression. Every step is
a command in a process of its own. Measured steps are kept in DIR/figures.jsonl and not repeated, so
an interrupted benchmark resumes; the table is printed anew. For each size: seconds, processor
seconds, peak memory of the largest process, disk space of the output. The exponent is the slope of
log(seconds) over log(size): 1 is linear.

Also ``predict`` with several scans, ``reproduce`` with several runs of tiny networks, and
``evaluate`` with one.
"""

import json
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from absl import app, flags

from liver_tf.studies.command_chain import PHANTOM_KEY

FLAGS = flags.FLAGS
TRAINING = (
    *("--network=liver", "--image_size=128", "--base_filters=8", "--batch_size=6"),
    *("--epochs=1", "--pictures=0", "--validation_share=0.115"),
)
TINY = ("--image_size=32", "--base_filters=1", "--batch_size=4", "--epochs=1", "--pictures=0")


@dataclass(frozen=True)
class Step:
    """A command whose cost is measured.

    Attributes:
      command: arguments after ``python -m``.
      output: what it writes.
      size: what its cost is compared with; ``unit`` says of what.
    """

    name: str
    command: tuple[str, ...]
    output: Path
    size: int
    unit: str

    @property
    def key(self) -> str:
        return f"{self.name} {self.size} {self.unit}"


def main(argv: list[str]) -> int:
    del argv
    work = Path(FLAGS.work).resolve()
    work.mkdir(parents=True, exist_ok=True)
    figures_file = work / "figures.jsonl"
    figures = read_figures(figures_file)
    failed = False
    for step in steps(work):
        if step.key in figures:
            continue
        print(f"$ python -m {' '.join(step.command)}", file=sys.stderr, flush=True)
        figure = measure(step)
        failed |= figure is None
        if figure is not None:
            figures[step.key] = figure
            with open(figures_file, "a", encoding="utf-8") as file:
                file.write(json.dumps(figure) + "\n")
    print("\n".join(table(list(figures.values()))))
    return int(failed)


def steps(work: Path) -> Iterator[Step]:
    """All measured steps, smallest size first; what a step reads is made when it is its turn."""
    for size in sorted(Fraction(text) for text in FLAGS.sizes):
        volumes = max(round(FLAGS.volumes * size), 4)
        yield from (s for s in _chain(work, volumes) if not FLAGS.only or s.name in FLAGS.only)
    if not FLAGS.only or "predict" in FLAGS.only:
        for scans in sorted(map(int, FLAGS.scans)):
            yield _predict(work, scans)
    if not FLAGS.only or "reproduce" in FLAGS.only:
        for runs in sorted(map(int, FLAGS.runs)):
            yield _reproduce(work, runs)
    if not FLAGS.only or "evaluate" in FLAGS.only:
        yield _evaluate(work, min(map(int, FLAGS.runs)))


def _chain(work: Path, volumes: int) -> Iterator[Step]:
    data, folder = make_volumes(work, volumes), work / f"chain{volumes}"
    slices = volumes * FLAGS.slices
    records = folder / "convert_1"
    lits = ("--source=lits", f"--input={data}")
    commands: dict[str, tuple[str, ...]] = {"verify": ("data_prep.verify", *lits)}
    for name, more in (
        ("convert_1", ("--workers=1",)),
        ("convert_2", ("--workers=2",)),
        ("convert_beam", ("--engine=beam",)),
    ):
        output = f"--output={folder / name}"
        commands[name] = ("data_prep.build_tfrecords", *lits, output, *more)
    commands["make_rois"] = (
        *("data_prep.make_rois", f"--input={records}", f"--output={folder / 'make_rois'}"),
        "--liver_run=bundled",
    )
    # MiB of all slices on the network's grid, HU in float32 and labels, with some room.
    needed = max(math.ceil(slices * 128 * 128 * 5 / 2**20 * 1.1), 16)
    for name, cache in (("epoch_memory", needed), ("epoch_disk", 16)):
        commands[name] = (
            *("trainers.pretrain", *TRAINING, f"--records={records}"),
            *(f"--run={folder / name}", f"--cache_mb={cache}"),
        )
    for name, command in commands.items():
        yield Step(name, command, folder / name, slices, "slices")


def make_volumes(work: Path, volumes: int) -> Path:
    """The folder of that many volumes of ``--slices`` slices, written once."""
    data = work / f"volumes{volumes}"
    if (data / "done").exists():
        return data
    shutil.rmtree(data, ignore_errors=True)
    drawn = max(-(-FLAGS.slices // FLAGS.repeat), 8)
    _run(
        *("data_prep.phantom", f"--output={data / 'drawn'}", f"--lits_volumes={volumes}"),
        *(f"--lits_slices={drawn}", "--patients=1", f"--matrix={FLAGS.matrix}"),
        f"--workers={FLAGS.workers}",
    )
    for path in sorted((data / "drawn" / "lits").glob("*.nii*")):
        repeat_slices(path, data / path.name, FLAGS.slices)
    shutil.rmtree(data / "drawn")
    (data / "done").touch()
    return data


def repeat_slices(source: Path, target: Path, slices: int) -> None:
    """Write a volume with each slice repeated to ``slices`` in all, over the same length in mm."""
    import nibabel

    image = nibabel.load(source)
    pixels = np.asanyarray(image.dataobj)
    chosen = np.arange(slices) * pixels.shape[2] // slices
    affine = image.affine.copy()
    affine[:, 2] *= pixels.shape[2] / slices
    nibabel.save(nibabel.Nifti1Image(pixels[:, :, chosen], affine, dtype=pixels.dtype), target)


def _predict(work: Path, scans: int) -> Step:
    """Scans of few slices, so that the cost of a scan apart from its slices shows."""
    source, data = work / "scans", work / f"scans{scans}"
    if not (source / "lits").exists():
        _run(
            *("data_prep.phantom", f"--output={source}", "--lits_volumes=4", "--lits_slices=8"),
            *("--patients=1", f"--matrix={FLAGS.matrix}"),
        )
    volumes = sorted((source / "lits").glob("volume-*"))
    data.mkdir(exist_ok=True)
    names = data / "inputs.txt"
    paths = [data / f"scan-{number:04}.nii.gz" for number in range(scans)]
    for number, path in enumerate(paths):
        if not path.exists():
            shutil.copy(volumes[number % len(volumes)], path)
    names.write_text("".join(f"{path}\n" for path in paths), encoding="utf-8")
    output = work / f"predicted{scans}"
    command = ("trainers.predict", f"--input_list={names}", f"--output={output}")
    return Step("predict", command, output, scans, "scans")


def _reproduce(work: Path, runs: int) -> Step:
    """A study of one protocol on one fold with many seeds; its networks have one filter."""
    folder = work / "study"
    flag_files = folder / "flags"
    if not (folder / "done" / "pretrain_lesion.json").exists():
        flag_files.mkdir(parents=True, exist_ok=True)
        for name in ("liver", "lesion", "finetune"):
            lines = TINY if name != "finetune" else TINY[2:]
            network = () if name == "finetune" else (f"--network={name}", "--validation_share=0.3")
            (flag_files / f"{name}.flags").write_text("\n".join([*network, *lines, ""]))
        _run(
            *("trainers.phantom_study", f"--folder={folder}", f"--flag_files={flag_files}"),
            *("--patients=14", "--lits_volumes=4", "--matrix=64", "--protocols=no_freezing"),
            "--workers=1",
        )
    records, networks, output = folder / "tfrecords", folder / "runs", work / f"study{runs}"
    command = (
        *("trainers.reproduce", f"--output={output}", "--protocols=no_freezing", "--folds=0"),
        *(f"--seeds={','.join(map(str, range(runs)))}", f"--workers={FLAGS.workers}"),
        *(f"--settings={flag_files / 'finetune.flags'}", f"--records={records / 'sheba'}"),
        *(f"--roi_records={records / 'sheba_roi'}", f"--pretrained={networks / 'lesion'}"),
        *(f"--folds_file={records / 'sheba' / 'folds.json'}", f"--liver_run={networks / 'liver'}"),
    )
    return Step("reproduce", command, output, runs, "runs")


def _evaluate(work: Path, runs: int) -> Step:
    """A run of the smallest study again: its measures are the output, so they are removed first."""
    run = work / f"study{runs}" / "finetune" / "fold0" / "seed0" / "no_freezing"
    records, networks = work / "study" / "tfrecords" / "sheba", work / "study" / "runs"
    command = (
        *("trainers.evaluate", f"--run={run}", f"--records={records}", "--decision=argmax"),
        *(f"--liver_run={networks / 'liver'}", f"--output={run / 'measures' / 'report'}"),
    )
    return Step("evaluate", command, run / "measures", 1, "runs")


def measure(step: Step) -> dict | None:
    """Run a step from the beginning; its figures, or None if it failed."""
    shutil.rmtree(step.output, ignore_errors=True)
    step.output.parent.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    process = _start(*step.command)
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        print(f"{step.key}: failed with status {process.returncode}", file=sys.stderr)
        return None
    files = step.output.rglob("*") if step.output.exists() else ()
    return {
        "key": step.key,
        "step": step.name,
        "size": step.size,
        "unit": step.unit,
        "seconds": round(seconds, 2),
        "processor_s": round(used.ru_utime + used.ru_stime, 2),
        "memory_mib": round(used.ru_maxrss / 1024),
        "disk_mib": round(sum(f.stat().st_size for f in files if f.is_file()) / 2**20, 1),
    }


def _start(*command: str) -> subprocess.Popen:
    environment = {**os.environ, "LIVER_TF_SITE_KEY": PHANTOM_KEY}
    return subprocess.Popen(
        [sys.executable, "-m", *command], stdout=subprocess.DEVNULL, env=environment
    )


def _run(*command: str) -> None:
    if _start(*command).wait():
        raise RuntimeError(f"python -m {' '.join(command)} failed")


def read_figures(path: Path) -> dict[str, dict]:
    """The figures of earlier starts by step; a line cut off by a kill is ignored."""
    figures = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            figure = json.loads(line)
        except ValueError:
            continue
        figures[figure["key"]] = figure
    return figures


def exponent(sizes: list[float], costs: list[float]) -> float:
    """Slope of log(cost) over log(size) by least squares; NaN for fewer than two sizes."""
    if len(set(sizes)) < 2:
        return math.nan
    x, y = np.log(sizes), np.log(np.maximum(costs, 1e-9))
    return float(np.polyfit(x, y, 1)[0])


def table(figures: list[dict]) -> list[str]:
    """A Markdown table: a row per step and size; exponents in the row of the largest size."""
    lines = [
        "| step | size | s | processor s | peak memory, MiB | output, MiB | exponent of s, of "
        "processor s | memory, x smallest |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name in dict.fromkeys(figure["step"] for figure in figures):
        rows = sorted((f for f in figures if f["step"] == name), key=lambda f: f["size"])
        sizes = [row["size"] for row in rows]
        slopes = [exponent(sizes, [row[c] for row in rows]) for c in ("seconds", "processor_s")]
        for row in rows:
            last = row is rows[-1] and len(rows) > 1
            slope = ", ".join(f"{value:.2f}" for value in slopes) if last else ""
            grown = f"{row['memory_mib'] / rows[0]['memory_mib']:.2f}" if last else ""
            lines.append(
                f"| {name} | {row['size']:,} {row['unit']} | {row['seconds']:,.1f} "
                f"| {row['processor_s']:,.1f} | {row['memory_mib']:,} | {row['disk_mib']:,.1f} "
                f"| {slope} | {grown} |"
            )
    return lines


if __name__ == "__main__":
    flags.DEFINE_string("work", None, "Folder for data and figures.", required=True)
    flags.DEFINE_list("sizes", ["1/16", "1/4", "1"], "Parts of the real job.")
    flags.DEFINE_integer("volumes", 131, "Volumes of the real job.", lower_bound=4)
    flags.DEFINE_integer("slices", 450, "Slices of a volume.", lower_bound=8)
    flags.DEFINE_integer("matrix", 512, "Rows and columns of a slice.", lower_bound=64)
    flags.DEFINE_integer("repeat", 18, "How often a drawn slice is written.", lower_bound=1)
    flags.DEFINE_integer("workers", 2, "Processes that draw phantoms, and runs at a time.")
    flags.DEFINE_list("scans", ["10", "300"], "Numbers of scans for predict.")
    flags.DEFINE_list("runs", ["10", "100"], "Numbers of runs for reproduce.")
    flags.DEFINE_list("only", [], "Steps to run; default: all.")
    app.run(main)

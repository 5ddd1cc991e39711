"""Seconds from the start of a command to the end of its first training step, and between cycles.

    python -m benchmarks.start_up

Writes a small phantom set and trains a liver network for one epoch, then starts
``trainers.pretrain`` and ``trainers.finetune`` in every round, at the sizes of the demo. The
clock starts before Python does. Also measured: the time between the cycles of a protocol of three
cycles, how often steps are traced, and Python with nothing but TensorFlow imported.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from absl import app, flags

from benchmarks.kept import Rounds, define_flag, keep

FLAGS = flags.FLAGS
IMPORT = "Python with TensorFlow imported"
SMALL = ("--image_size=96", "--base_filters=8", "--batch_size=8", "--norm_momentum=0.95")
CYCLES = ("--cycle=none epochs=2", "--cycle=enc1-enc3 epochs=2", "--cycle=none epochs=2")


def main(argv: list[str]) -> int:
    del argv
    if FLAGS.child:
        return _child(FLAGS.child)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_records(folder)
        data = (f"--records={folder}/lits", "--validation_share=0.3")
        pretrain = ("trainers.pretrain", "--network=liver", *data, *SMALL, "--epochs=1")
        run(*pretrain, f"--run={folder}/liver")
        finetune = (
            *("trainers.finetune", "--protocol=three", *data, "--folds_file=", *CYCLES),
            *(f"--pretrained={folder}/liver", "--batch_size=4", "--learning_rate=1e-3"),
        )
        seen: dict[str, list[float]] = {
            "trainers.pretrain": [],
            "trainers.finetune": [],
            IMPORT: [],
        }
        between, count = [], 0
        for number in range(FLAGS.rounds):
            one = _steps(*pretrain, f"--run={folder}/start{number}/run")
            seen["trainers.pretrain"].append(one["first"])
            three = _steps(*finetune, f"--runs={folder}/runs{number}")
            seen["trainers.finetune"].append(three["first"])
            between += three["between"]
            count = three["traced"]
            seen[IMPORT].append(_seconds([sys.executable, "-c", "import tensorflow"]))
    print(f"{FLAGS.rounds} rounds; seconds from the command to the end of the first training step")
    print("| | median | least | greatest |\n| --- | ---: | ---: | ---: |")
    for way, figures in seen.items():
        median = statistics.median(figures)
        print(f"| {way} | {median:.1f} | {min(figures):.1f} | {max(figures):.1f} |")
    print(
        f"from the last step of a cycle to the end of the next one's first: median "
        f"{statistics.median(between):.1f} s ({min(between):.1f} to {max(between):.1f}), the last "
        "epoch's validation included"
    )
    print(f"{len(CYCLES)} cycles, two of them with the same blocks frozen: traced {count} times")
    keep(Rounds("command to first step", "s", False, "trainers.finetune", seen))
    return 0


def make_records(folder: Path) -> None:
    """Three phantom volumes as a record set, ``folder/lits``."""
    run(
        *("data_prep.phantom", f"--output={folder}/data", "--lits_volumes=3", "--patients=1"),
        "--matrix=256",
    )
    run(
        *("data_prep.build_tfrecords", "--source=lits", f"--input={folder}/data/lits"),
        f"--output={folder}/lits",
    )


def run(*command: str) -> None:
    subprocess.run(
        [sys.executable, "-m", *command],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "LIVER_TF_SITE_KEY": "phantom-data-need-no-secret"},
    )


def _seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def _steps(*command: str) -> dict:
    """Run a training command in a separate process that reports when its steps ended."""
    started = time.time()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.start_up", f"--child={json.dumps(command)}"],
        check=True,
        capture_output=True,
        text=True,
    )
    reported = json.loads(done.stdout.splitlines()[-1])
    return {
        "first": reported["steps"][0][0] - started,
        "between": [
            after[0] - before[-1]
            for before, after in zip(reported["steps"], reported["steps"][1:], strict=False)
        ],
        "traced": reported["traced"],
    }


def _child(command: str) -> int:
    """Run the command's module here, with steps that note when they ended."""
    module, *arguments = json.loads(command)
    from liver_tf.quiet_tensorflow import import_tensorflow

    import_tensorflow()

    from liver_tf.training.compiled_steps import CompiledSteps

    begin = CompiledSteps.begin
    cycles: list[list[float]] = []
    traced: dict[int, object] = {}

    def timed_begin(self, settings):
        step = begin(self, settings)
        ends: list[float] = []
        cycles.append(ends)
        traced[id(step)] = step

        def timed(*batch):
            loss = step(*batch)
            float(loss)
            ends.append(time.time())
            return loss

        timed.prepare = step.prepare
        return timed

    CompiledSteps.begin = timed_begin
    sys.argv = [module, *arguments]
    import runpy

    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code:
            raise
    count = sum(len(step.traced) for step in traced.values())
    print("\n" + json.dumps({"steps": cycles, "traced": count}))
    return 0


if __name__ == "__main__":
    flags.DEFINE_integer("rounds", 5, "Rounds.", lower_bound=1)
    flags.DEFINE_string(
        "child", None, "Run this command and report its times (used by the benchmark)."
    )
    define_flag()
    app.run(main)

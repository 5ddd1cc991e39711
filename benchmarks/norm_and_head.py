"""Batch-normalisation policies and initial heads, compared on the phantom of the demo.

    make demo
    python -m benchmarks.norm_and_head --work=DIR

Fine-tunes *no freezing* at the size of the demo with three policies and two heads, at two batch
sizes (4 as in the demo, 1 as in the paper), and prints the best validation loss and the four
measures on the validation patients, because a choice must not use the test patients. Few
patients, one fold, one seed, phantom data: the intervals are wide.
"""

import itertools
import json
import subprocess
import sys
from pathlib import Path

from absl import app, flags

FLAGS = flags.FLAGS

NORMS = ("update", "freeze_statistics", "inference")
HEADS = ("fresh", "old")


def main(argv: list[str]) -> int:
    del argv
    from liver_tf.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    from liver_tf.assessment.evaluate import evaluate_runs
    from liver_tf.measures.measure_registry import PAPER_MEASURES, measure_title
    from liver_tf.report.tables.paper_table import format_interval
    from liver_tf.statistics.bootstrap_intervals import intervals

    if not Path("demo/runs/lesion/weights.npz").exists():
        sys.exit("run make demo first: its records and pre-trained networks are used")
    titles = [measure_title(measure) for measure in PAPER_MEASURES]
    print("| batch | norm | head | best epoch | validation loss | " + " | ".join(titles) + " |")
    print("| ---: | --- | --- | ---: | ---: |" + " ---: |" * len(titles), flush=True)
    sizes = [int(size) for size in FLAGS.batch_sizes]
    for batch, norm, head in itertools.product(sizes, NORMS, HEADS):
        run = finetune(Path(FLAGS.work), batch, norm, head)
        (measured,) = evaluate_runs(
            [run], Path("demo/runs/liver"), Path("demo/tfrecords/sheba"), "validation"
        )
        found = intervals(measured.results)
        cycle = json.loads((run / "cycle1" / "cycle.json").read_text(encoding="utf-8"))
        cells = [format_interval(found[measure]) for measure in PAPER_MEASURES]
        print(
            f"| {batch} | {norm} | {head} | {cycle['best_epoch']} | {cycle['best_value']:.3f} | "
            + " | ".join(cells)
            + " |",
            flush=True,
        )
    return 0


def finetune(work: Path, batch: int, norm: str, head: str) -> Path:
    """Fine-tune one variant, or find it done; returns its run."""
    runs = work / f"batch{batch}_{norm}_{head}"
    arguments = [
        *("trainers.finetune", "--flagfile=no_freezing.flags"),
        *("--flagfile=flags/demo/finetune.flags", f"--runs={runs}"),
        *(f"--batch_size={batch}", f"--norm={norm}", f"--head={head}"),
    ]
    done = subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return runs / "fold0" / "seed0" / "no_freezing"


if __name__ == "__main__":
    flags.DEFINE_string("work", None, "Folder for the runs.", required=True)
    flags.DEFINE_list("batch_sizes", ["4", "1"], "Batch sizes.")
    app.run(main)

"""Measure fine-tuned runs on the test patients of their fold, and print the paper's table.

Runs of one protocol on several folds and with several seeds are pooled. What is measured stays in
each run's folder, under measures/, and is not measured again.
"""

from __future__ import annotations

from pathlib import Path

from absl import app, flags

from trainers import flag_groups

FLAGS = flags.FLAGS


def main(argv: list[str]) -> int:
    from liver_tf.assessment.evaluate import evaluate_runs
    from liver_tf.report.write_report import TABLE, write_runs_report

    runs = [Path(run) for run in FLAGS.run]
    if len({run.resolve() for run in runs}) < len(runs):
        raise app.UsageError("--run: the same run is named twice")
    output = Path(FLAGS.output) if FLAGS.output else runs[0].resolve().parent / "report"
    sources = Path(FLAGS.liver_run), Path(FLAGS.records)
    evaluate_runs(runs, *sources, use_chosen=FLAGS.postprocessing)
    files = write_runs_report(
        runs, output, data_label=FLAGS.data_label, samples=FLAGS.samples, seed=FLAGS.seed
    )
    print((output / TABLE).read_text(encoding="utf-8"))
    print("\nreport: " + "\n        ".join(str(path) for path in files[:3]))
    return 0


def _define_flags() -> None:
    flags.DEFINE_multi_string(
        "run",
        None,
        "Fine-tuned run; repeat to compare protocols, and to pool folds and seeds.",
        required=True,
    )
    flags.DEFINE_string("liver_run", "runs/liver", "Run of the liver network.")
    flags.DEFINE_string("records", "tfrecords/sheba", "Record set of whole slices with types.")
    flags.DEFINE_string("output", None, "Folder of the report. Default: beside the first run.")
    flags.DEFINE_string(
        "data_label", "your data", "What the table says it was measured on, e.g. a study's name."
    )
    flags.DEFINE_boolean(
        "postprocessing",
        True,
        "Use the threshold, holes and least size that trainers.choose_postprocessing kept with "
        "each run, if it did.",
    )
    flags.DEFINE_integer("samples", 10_000, "Resamples of the bootstrap.", lower_bound=100)
    flags.DEFINE_integer("seed", 0, "Decides the bootstrap.", lower_bound=0, upper_bound=2**31 - 1)


if __name__ == "__main__":
    flag_groups.run(main, _define_flags)

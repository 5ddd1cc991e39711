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
    from liver_tf.atomic_files import write_text
    from liver_tf.evaluation.paper_table import render_text
    from liver_tf.evaluation.report import write_report
    from liver_tf.evaluation.stored_results import cautions, images_csv, label_of, pooled
    from trainers import measuring, report_parts

    runs = [Path(run) for run in FLAGS.run]
    if len({run.resolve() for run in runs}) < len(runs):
        raise app.UsageError("--run: the same run is named twice")
    output = Path(FLAGS.output) if FLAGS.output else runs[0].resolve().parent / "report"
    sources = Path(FLAGS.liver_run), Path(FLAGS.records)
    measured = measuring.measure_runs(runs, *sources, use_chosen=FLAGS.postprocessing)
    stored = [one.stored for one in measured]
    results = pooled(stored)
    facts = report_parts.facts(runs, *sources, use_chosen=FLAGS.postprocessing)
    files = write_report(
        output,
        results,
        label_of(stored, FLAGS.data_label),
        histories=report_parts.all_histories(measured),
        sheets=report_parts.draw_sheets(measured, output / "overlays"),
        facts={**facts, "temperature of the type": report_parts.temperatures(measured)},
        cautions=cautions(stored),
        samples=FLAGS.samples,
        seed=FLAGS.seed,
    )
    write_text(output / "images.csv", images_csv(stored))
    found = files.findings
    table = "".join(f"CAUTION. {caution}\n" for caution in found.cautions)
    table += render_text(found.measured, found.data_label, found.differences)
    table += report_parts.healthy_text(found.measured)
    write_text(output / "table.txt", table + "\n")
    print(table)
    print(f"\nreport: {files.html}\n        {files.markdown}\n        {files.csv}")
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

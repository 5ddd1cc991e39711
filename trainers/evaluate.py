"""Measure fine-tuned runs on the test patients of their fold, and print the paper's table."""

from __future__ import annotations

from pathlib import Path

from absl import app, flags

from trainers import flag_groups

FLAGS = flags.FLAGS


def main(argv: list[str]) -> int:
    from liver_tf.atomic_files import write_text
    from liver_tf.evaluation.paper_table import render_text
    from liver_tf.evaluation.report import write_report
    from trainers import measuring

    runs = [Path(run) for run in FLAGS.run]
    names = [run.resolve().name for run in runs]
    if len(set(names)) < len(names):
        raise app.UsageError("--run: two runs of the same protocol; report on them apart")
    output = Path(FLAGS.output) if FLAGS.output else runs[0].resolve().parent / "report"
    sources = Path(FLAGS.liver_run), Path(FLAGS.records)
    measured = measuring.measure_runs(runs, *sources, use_chosen=FLAGS.postprocessing)
    files = write_report(
        output,
        {name: one.results for name, one in measured.items()},
        FLAGS.data_label,
        histories={name: measuring.histories(run) for name, run in zip(names, runs, strict=True)},
        sheets=measuring.draw_sheets(measured, output / "overlays"),
        facts=measuring.facts(runs, *sources, use_chosen=FLAGS.postprocessing),
        samples=FLAGS.samples,
        seed=FLAGS.seed,
    )
    found = files.findings
    table = render_text(found.measured, found.data_label, found.differences)
    table += measuring.healthy_text(found.measured)
    write_text(output / "table.txt", table + "\n")
    print(table)
    print(f"\nreport: {files.html}\n        {files.markdown}\n        {files.csv}")
    return 0


def _define_flags() -> None:
    flags.DEFINE_multi_string(
        "run", None, "Fine-tuned run; repeat to compare protocols.", required=True
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
    flags.DEFINE_integer("seed", 0, "Decides the bootstrap.", lower_bound=0)


if __name__ == "__main__":
    flag_groups.run(main, _define_flags)

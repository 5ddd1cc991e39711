"""The paper's comparison: folds x protocols x seeds, each fine-tuned and measured; one report.

Killed and started again it goes on; cells that are done are not done again, and no test fold is
looked at twice. --only carries out single cells, so that any scheduler can spread them. See
docs/reproduce.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from absl import app, flags

from liver_tf.studies import study
from trainers import flag_groups

FLAGS = flags.FLAGS

REPORT = "report"


def main(argv: list[str]) -> int:
    from liver_tf.studies.study_identity import refuse_others
    from liver_tf.studies.study_jobs import Sources, plan
    from liver_tf.studies.study_run import carry_out_left

    output = Path(FLAGS.output)
    planned = plan(
        output,
        Sources(
            roi_records=Path(FLAGS.roi_records),
            whole_records=Path(FLAGS.records),
            folds_file=Path(FLAGS.folds_file),
            pretrained=Path(FLAGS.pretrained),
            liver_run=Path(FLAGS.liver_run),
        ),
        study.read_protocols(FLAGS.protocols),
        folds=flag_groups.whole_numbers("folds") if FLAGS.folds else None,
        seeds=flag_groups.whole_numbers("seeds"),
        settings=study.read_settings(FLAGS.settings),
        validation=FLAGS.validation,
    )
    jobs = _chosen(planned.jobs)
    refuse_others(output, planned.made_of)
    if FLAGS.report_only:
        return _report(output, planned.jobs)
    if FLAGS.list:
        for job in jobs:
            print(f"{job.name}\t{job.state()}")
        return 0
    failed = carry_out_left(jobs, planned.work, _engine)
    if failed:
        names = ", ".join(outcome.name for outcome in failed)
        print(f"\n{len(failed)} cell(s) FAILED: {names}. The same command tries them again.")
    lacking = [job for job in planned.jobs if not job.is_done()]
    if FLAGS.only and lacking:
        print(f"\n{len(lacking)} of the study's {len(planned.jobs)} cells to go: no report yet.")
        return int(bool(failed))
    return _report(output, planned.jobs) or int(bool(failed))


def _chosen(jobs: Sequence) -> list:
    """The cells that --only names, else all."""
    if not FLAGS.only:
        return list(jobs)
    by_name = {job.name: job for job in jobs}
    chosen = []
    for name in FLAGS.only:
        try:
            cell = study.Cell.parse(name)
        except ValueError as error:
            raise app.UsageError(f"--only: {error}") from None
        if cell.name not in by_name:
            raise app.UsageError(f"--only: no cell {cell.name} in this study; --list shows them")
        chosen.append(by_name[cell.name])
    return chosen


def _engine():
    from liver_tf.studies import engines

    if FLAGS.engine == "ray":
        return engines.Ray(FLAGS.ray_address, FLAGS.num_cpus, FLAGS.num_gpus)
    return engines.Local(FLAGS.workers)


def _report(output: Path, jobs: Sequence) -> int:
    from liver_tf.folder_lock import locked_folder
    from liver_tf.refusals import Refusal
    from liver_tf.report.write_report import write_study_report

    folder = output / REPORT
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with locked_folder(folder):
            files = write_study_report(
                output,
                folder,
                data_label=FLAGS.data_label,
                planned=[job.run for job in jobs],
                samples=FLAGS.samples,
            )
    except Refusal as refusal:
        if refusal.code != "output-busy":
            raise
        # The last cells of a study can end at the same time.
        print(f"another process is writing the report into {folder}")
        return 0
    print(f"\nreport: {files[0]}\n        and {len(files) - 1} files beside it")
    return 0


def _define_flags() -> None:
    flags.DEFINE_string("output", "runs/study", "Folder of the study.")
    flags.DEFINE_list(
        "protocols",
        list(study.PROTOCOLS),
        "Protocols, each by its flag file: NAME is NAME.flags in this folder.",
    )
    flags.DEFINE_list("folds", None, "Folds, e.g. 0,2. Default: all of --folds_file.")
    flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds of training.")
    flags.DEFINE_multi_string(
        "settings",
        [],
        "Flag file of trainers.finetune with the settings that all cells share (learning rate, "
        "epochs, augmentation); it counts where a protocol's own file says otherwise. Without "
        "any: the paper's. May be repeated.",
    )
    flags.DEFINE_multi_string(
        "only",
        [],
        "Carry out this cell alone, e.g. fold1/hier_freeze/seed0; may be repeated. The report is "
        "written once all cells of the study are done.",
    )
    flags.DEFINE_boolean(
        "list", False, "Print every cell's name and how far it is, and carry out nothing."
    )
    flags.DEFINE_boolean(
        "report_only", False, "Make the report from the cells that are done, and carry out nothing."
    )
    flags.DEFINE_enum(
        "validation",
        "inner",
        ["inner", "test_fold"],
        "Of trainers.finetune. test_fold mimics looser practice; the report says so in red.",
    )
    flags.DEFINE_string("roi_records", "tfrecords/sheba_roi", "Record set of ROIs, to train on.")
    flags.DEFINE_string("records", "tfrecords/sheba", "Record set of whole slices, to measure on.")
    flags.DEFINE_string("folds_file", "tfrecords/sheba/folds.json", "Folds of the patients.")
    flags.DEFINE_string("pretrained", "runs/lesion", "Run of the pre-trained lesion network.")
    flags.DEFINE_string("liver_run", "runs/liver", "Run of the liver network.")
    flags.DEFINE_enum(
        "engine",
        "local",
        ["local", "ray"],
        "local: processes of this machine. ray: a Ray cluster (pip extra ray) whose machines all "
        "see this folder and the data under the same paths.",
    )
    flags.DEFINE_integer(
        "workers",
        1,
        "local: cells at a time; more than 1 where a network is too small to keep all cores busy.",
        lower_bound=1,
    )
    flags.DEFINE_string(
        "ray_address",
        None,
        "ray: the cluster, e.g. auto on one of its machines. Default: RAY_ADDRESS, else a Ray of "
        "this machine alone.",
    )
    flags.DEFINE_float("num_cpus", 1.0, "ray: processors a cell is given.", lower_bound=0.0)
    flags.DEFINE_float(
        "num_gpus",
        0.0,
        "ray: cards a cell is given; 0.5 puts two on one, 0 deals none out.",
        lower_bound=0.0,
    )
    flags.DEFINE_string(
        "data_label", "your data", "What the report says it was measured on, e.g. a study's name."
    )
    flags.DEFINE_integer("samples", 10_000, "Resamples of the bootstrap.", lower_bound=100)


if __name__ == "__main__":
    flag_groups.run(main, _define_flags, tensorflow=False)

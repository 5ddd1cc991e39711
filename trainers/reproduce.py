"""The paper's comparison: folds x protocols x seeds, each fine-tuned and evaluated; one report.

An interrupted study resumes with the same command: finished runs are not repeated, and no test
fold is evaluated twice. --only executes single runs, for any scheduler. See docs/reproduce.md.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from liver_tf.studies.grid import PROTOCOLS
from trainers import flag_groups

FLAGS = flags.FLAGS


def main(argv: list[str]) -> int:
    from liver_tf.studies import protocol_files, reproduce, study_plan

    plan = study_plan.plan_study(
        Path(FLAGS.output),
        study_plan.LesionStudyInputs(
            roi_records=Path(FLAGS.roi_records),
            whole_records=Path(FLAGS.records),
            folds_file=Path(FLAGS.folds_file),
            pretrained=Path(FLAGS.pretrained),
            liver_run=Path(FLAGS.liver_run),
        ),
        study_plan.StudyDesign(
            protocol_files.read_protocols(FLAGS.protocols),
            flag_groups.whole_numbers("seeds"),
            flag_groups.whole_numbers("folds") if FLAGS.folds else None,
            protocol_files.read_settings(FLAGS.settings),
            FLAGS.validation,
        ),
    )
    jobs = study_plan.select_jobs(plan, FLAGS.only)
    report = {"data_label": FLAGS.data_label, "samples": FLAGS.samples}
    if FLAGS.report_only:
        reproduce.write_report(plan, **report)
        return 0
    if FLAGS.list:
        for job in jobs:
            print(f"{job.name}\t{job.state()}")
        return 0
    return int(not reproduce.reproduce(plan, jobs, _engine, **report))


def _engine():
    if FLAGS.engine == "ray":
        from liver_tf.studies.ray_engine import RayEngine

        return RayEngine(FLAGS.ray_address, FLAGS.num_cpus, FLAGS.num_gpus)
    from liver_tf.studies.process_engine import ProcessEngine

    return ProcessEngine(FLAGS.workers)


def _define_flags() -> None:
    flags.DEFINE_string("output", "runs/study", "Folder of the study.")
    flags.DEFINE_list(
        "protocols",
        list(PROTOCOLS),
        "Protocols, each by its flag file: NAME is NAME.flags in this folder.",
    )
    flags.DEFINE_list("folds", None, "Folds, e.g. 0,2. Default: all folds of --folds_file.")
    flags.DEFINE_list("seeds", ["0", "1", "2"], "Training seeds.")
    flags.DEFINE_multi_string(
        "settings",
        [],
        "Flag file of trainers.finetune with the settings that all runs share (learning rate, "
        "epochs, augmentation); overrides the protocols' own files. Default: the paper's "
        "settings. May be repeated.",
    )
    flags.DEFINE_multi_string(
        "only",
        [],
        "Execute only this run, e.g. fold1/hier_freeze/seed0; may be repeated. The report is "
        "written once all runs of the study are done.",
    )
    flags.DEFINE_boolean("list", False, "Print the name and state of every run, then exit.")
    flags.DEFINE_boolean("report_only", False, "Write the report of the finished runs, then exit.")
    flags.DEFINE_enum(
        "validation",
        "inner",
        ["inner", "test_fold"],
        "As in trainers.finetune. test_fold imitates looser practice; the report marks it in red.",
    )
    flags.DEFINE_string("roi_records", "tfrecords/sheba_roi", "Record set of ROIs, for training.")
    flags.DEFINE_string("records", "tfrecords/sheba", "Record set of whole slices, for evaluation.")
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
        "Runs at a time with --engine=local; more than 1 helps if one network does not use all "
        "cores.",
        lower_bound=1,
    )
    flags.DEFINE_string(
        "ray_address",
        None,
        "Address of the Ray cluster, e.g. auto on one of its machines. Default: RAY_ADDRESS, or a "
        "new cluster on this machine.",
    )
    flags.DEFINE_float("num_cpus", 1.0, "CPUs per run on the Ray cluster.", lower_bound=0.0)
    flags.DEFINE_float(
        "num_gpus",
        0.0,
        "GPUs per run on the Ray cluster; 0.5 shares one GPU between two runs, 0 requests none.",
        lower_bound=0.0,
    )
    flags.DEFINE_string(
        "data_label", "your data", "Name of the data in the report, e.g. of your study."
    )
    flags.DEFINE_integer("samples", 10_000, "Bootstrap resamples.", lower_bound=100)


if __name__ == "__main__":
    flag_groups.run(main, _define_flags, tensorflow=False)

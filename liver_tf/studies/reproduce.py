"""The paper's comparison: every protocol on every fold with every seed, then one report."""

from pathlib import Path

from liver_tf.command_line.invocation import show_next, suggest_real_run
from liver_tf.counted import counted
from liver_tf.folder_lock import locked_folder
from liver_tf.records.manifest import load_manifest
from liver_tf.refusals import Refusal
from liver_tf.report.write_report import write_study_report
from liver_tf.results.pool_runs import default_label
from liver_tf.studies.protocol_files import read_protocols, read_settings
from liver_tf.studies.ray_engine import RayEngine
from liver_tf.studies.scheduler import Engine, ProcessEngine, run_remaining
from liver_tf.studies.study_outline import study_outline
from liver_tf.studies.study_plan import (
    StudyDesign,
    StudyInputs,
    StudyPlan,
    plan_study,
    select_jobs,
)
from liver_tf.studies.study_settings import RAY, EngineSettings, ReproduceSettings


def reproduce(settings: ReproduceSettings) -> bool:
    """Print the plan, list the runs, write the report, or execute missing runs and write it.

    If only a part of the runs is selected, the report is written once the study is complete.

    Returns:
      Whether all selected runs succeeded.

    Raises:
      Refusal: records, folds or networks are missing, or the study was started with other
        settings.
      OptionError: a fold or run that the study does not have, or flags that no run could read.
    """
    if settings.dry_run:
        print(study_outline(settings), flush=True)
        suggest_real_run(settings.missing_inputs())
        return True
    plan = plan_reproduction(settings)
    jobs = select_jobs(plan, settings.only)
    if settings.list_runs:
        for job in jobs:
            print(f"{job.name}\t{job.state()}")
        return True
    failed = []
    if not settings.report_only:
        failed = run_remaining(jobs, plan.work, lambda: make_engine(settings.engine))
    missing = plan.missing()
    if missing and settings.only and not settings.report_only:
        print(f"\nno report yet: {len(missing)} of {len(plan.jobs)} runs are not done")
        show_next("the same command without --only, when all runs are done")
    else:
        with_ensembles = settings.ensembles and not (missing or settings.report_only)
        write_report(plan, settings, with_ensembles=with_ensembles)
    return not failed


def plan_reproduction(settings: ReproduceSettings) -> StudyPlan:
    """Plan all runs; nothing is written. Raises as :func:`reproduce`."""
    inputs = StudyInputs(
        records=settings.roi_records,
        whole_records=settings.records,
        folds_file=settings.folds_file,
        pretrained=settings.pretrained,
        liver_run=settings.liver_run,
        neighbour_truth=settings.neighbour_truth,
    )
    design = StudyDesign(
        read_protocols(settings.protocols),
        settings.seeds,
        settings.folds,
        read_settings(settings.settings),
        settings.validation,
    )
    return plan_study(settings.output, inputs, design)


def make_engine(settings: EngineSettings) -> Engine:
    """The engine that the settings describe; raises ``Refusal`` if Ray cannot be used."""
    if settings.engine == RAY:
        return RayEngine(settings.ray_address, settings.num_cpus, settings.num_gpus)
    return ProcessEngine(settings.workers, shared=settings.shared_processes)


def write_report(
    plan: StudyPlan, settings: ReproduceSettings, *, with_ensembles: bool = False
) -> None:
    """Write the report of the finished runs, which lists the missing ones.

    ``with_ensembles`` evaluates the ensembles of the seeds first.

    Raises:
      Refusal: as :func:`liver_tf.report.write_report.write_study_report` and
        :func:`liver_tf.assessment.evaluate.evaluate_ensembles`.
    """
    folder = plan.study / "report"
    folder.mkdir(parents=True, exist_ok=True)
    planned = [job.run for job in plan.jobs]
    try:
        with locked_folder(folder):
            if with_ensembles:
                _evaluate_ensembles(planned, settings)
            files = write_study_report(
                plan.study,
                folder,
                data_label=settings.data_label or default_label(load_manifest(settings.records)),
                planned=planned,
                samples=settings.samples,
            )
    except Refusal as refusal:
        if refusal.code != "output-busy":
            raise
        # The last runs of a study can end at the same time, in several processes.
        print(f"another process is writing the report to {folder}")
    else:
        print(f"\nreport: {files[0]}\n        and {counted(len(files) - 1, 'file')} beside it")
        show_next(f"open {files[0]}")


def _evaluate_ensembles(runs: list[Path], settings: ReproduceSettings) -> None:
    from liver_tf.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    from liver_tf.assessment.evaluate import evaluate_ensembles

    # Only runs that chose a post-processing have one, so this is what each run was evaluated with.
    evaluate_ensembles(runs, settings.liver_run, settings.records)

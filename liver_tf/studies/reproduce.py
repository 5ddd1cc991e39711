"""The paper's comparison: every protocol on every fold with every seed, then one report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from liver_tf.folder_lock import locked_folder
from liver_tf.refusals import Refusal
from liver_tf.report.write_report import write_study_report
from liver_tf.studies.run_process import StudyJob
from liver_tf.studies.scheduler import Engine, run_remaining
from liver_tf.studies.study_plan import StudyPlan

REPORT = "report"


def reproduce(
    plan: StudyPlan,
    jobs: Sequence[StudyJob],
    make_engine: Callable[[], Engine],
    *,
    data_label: str,
    samples: int,
) -> bool:
    """Execute the jobs that are not done, then write the report.

    If ``jobs`` is only a part of the study, the report is written once the whole study is done.

    Args:
      plan: the whole study.
      jobs: those of ``plan`` to execute.
      make_engine: called if there is anything to execute.
      data_label, samples: as :func:`liver_tf.report.write_report.write_study_report`.

    Returns:
      Whether all jobs succeeded.
    """
    failed = run_remaining(jobs, plan.work, make_engine)
    if failed:
        names = ", ".join(result.name for result in failed)
        print(f"\n{len(failed)} run(s) FAILED: {names}. The same command retries them.")
    missing = plan.missing()
    if missing and len(jobs) < len(plan.jobs):
        print(f"\nno report yet: {len(missing)} of {len(plan.jobs)} runs are not done")
    else:
        write_report(plan, data_label=data_label, samples=samples)
    return not failed


def write_report(plan: StudyPlan, *, data_label: str, samples: int) -> list[Path]:
    """Write the report of the runs that are done; it lists the missing ones.

    Returns:
      The files written, ``report.html`` first; none if another process is writing the report.

    Raises:
      Refusal: as :func:`liver_tf.report.write_report.write_study_report`.
    """
    folder = plan.study / REPORT
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with locked_folder(folder):
            files = write_study_report(
                plan.study,
                folder,
                data_label=data_label,
                planned=[job.run for job in plan.jobs],
                samples=samples,
            )
    except Refusal as refusal:
        if refusal.code != "output-busy":
            raise
        # The last runs of a study can end at the same time, in several processes.
        print(f"another process is writing the report into {folder}")
        return []
    print(f"\nreport: {files[0]}\n        and {len(files) - 1} files beside it")
    return files

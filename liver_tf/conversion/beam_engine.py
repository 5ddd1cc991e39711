"""The same work on cases, spread by Apache Beam over whatever runs its pipelines.

Beam starts the function for each case on some machine; all machines must see the input and the
output folder under the same paths (a shared file system). What became of a case is left beside its
memo, so that no runner needs a sink of its own.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from liver_tf import atomic_files
from liver_tf.conversion.convert_cases import CaseOutcome, Job, convert_case
from liver_tf.conversion.output_folder import MEMOS
from liver_tf.disk_full import write_errors_as_refusals
from liver_tf.refusals import Refusal

_SUFFIX = ".outcome.json"


def convert_in_beam(jobs: list[Job], options: list[str]) -> Iterator[CaseOutcome]:
    """Convert cases by a Beam pipeline; outcomes come in the order of the jobs.

    Args:
      jobs: of :func:`liver_tf.conversion.convert_cases.convert_case`; all machines share the target
        folder.
      options: Beam's own, e.g. ``["--runner=FlinkRunner", "--flink_master=host:8081"]``. Without
        any, Beam's direct runner works on this machine.

    Raises:
      Refusal: ``no-beam`` where Apache Beam is not installed, ``beam-failed``, and those of
        ``convert_case``, which end the whole conversion.
    """
    try:
        import apache_beam
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError:
        raise Refusal(
            "no-beam",
            None,
            expected="Apache Beam for --engine=beam",
            found="a Python without it",
            remedy="Run: pip install -c constraints.txt -e '.[beam]'.",
        ) from None
    logging.getLogger("apache_beam").setLevel(logging.ERROR)
    # But a slip in an option is worth a word: it would be passed over.
    logging.getLogger("apache_beam.options").setLevel(logging.WARNING)
    folder = jobs[0][1].output / MEMOS
    with write_errors_as_refusals(folder):
        folder.mkdir(exist_ok=True)
    try:
        try:
            with apache_beam.Pipeline(options=PipelineOptions(options)) as pipeline:
                (
                    pipeline
                    | "cases" >> apache_beam.Create(jobs)
                    # Runners fuse steps: without this one machine would get all cases.
                    | "spread" >> apache_beam.Reshuffle()
                    | "convert" >> apache_beam.Map(_convert_and_tell)
                )
        except Exception as error:
            raise Refusal(
                "beam-failed",
                None,
                expected="a Beam pipeline that ends well",
                found=f"an error of kind {type(error).__name__}",
                remedy="See the runner's own log; do all machines see the input and the output "
                "under the same paths? What is complete is kept.",
            ) from None
        yield from map(partial(_outcome_of, folder), jobs)
    finally:
        for path in folder.glob(f"*{_SUFFIX}"):
            path.unlink(missing_ok=True)


def _convert_and_tell(job: Job) -> None:
    """Convert a case and write what became of it; paths of patients' files are not written."""
    task, target = job
    try:
        told = convert_case(job).to_json(task)
    except Refusal as refusal:  # of the output: all cases would meet it
        told = {"ends_all": refusal.to_json()}
    with write_errors_as_refusals(target.output):
        atomic_files.write_json(target.output / MEMOS / f"{task.case}{_SUFFIX}", told)


def _outcome_of(folder: Path, job: Job) -> CaseOutcome:
    task, target = job
    try:
        told = json.loads((folder / f"{task.case}{_SUFFIX}").read_text(encoding="utf-8"))
    except OSError:
        raise Refusal(
            "beam-failed",
            target.output,
            expected="a word on every case from the pipeline's workers",
            found="none on one of them",
            remedy="All machines must see the output folder under the same path.",
        ) from None
    if "ends_all" in told:
        raise Refusal.from_json(told["ends_all"], target.output)
    return CaseOutcome.from_json(told, task)

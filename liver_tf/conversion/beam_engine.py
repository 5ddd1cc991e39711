"""The Beam engine: converts cases in an Apache Beam pipeline, on any runner.

All machines must see input and output under the same paths (a shared file system). Outcomes are
passed back as files beside the memos, so that no runner needs a sink.
"""

import logging
from collections.abc import Iterator
from pathlib import Path

from liver_tf import atomic_files
from liver_tf.bounded_files import read_json
from liver_tf.conversion.convert_cases import CaseJob, CaseOutcome, convert_case
from liver_tf.conversion.output_folder import MEMOS
from liver_tf.disk_full import write_errors_as_refusals
from liver_tf.extras import install_extra
from liver_tf.refusals import Refusal

_SUFFIX = ".outcome.json"


def convert_in_beam(jobs: list[CaseJob], options: list[str]) -> Iterator[CaseOutcome]:
    """Convert cases in a Beam pipeline; outcomes come in the order of the jobs.

    Args:
      jobs: all with the same target.
      options: of Beam, e.g. ``["--runner=FlinkRunner", "--flink_master=host:8081"]``. Without
        options Beam's direct runner is used on this machine.

    Raises:
      Refusal: ``no-beam``, ``beam-failed``, and those of ``convert_case``.
    """
    try:
        import apache_beam
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError:
        raise Refusal(
            "no-beam",
            None,
            expected="Apache Beam for --engine=beam",
            found="no installed package apache_beam",
            remedy=install_extra("beam"),
        ) from None
    logging.getLogger("apache_beam").setLevel(logging.ERROR)
    # Beam ignores misspelt options with a warning, which must stay visible.
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
                    # Runners fuse steps: without a reshuffle one machine would get all cases.
                    | "spread" >> apache_beam.Reshuffle()
                    | "convert" >> apache_beam.Map(_convert_and_save_outcome)
                )
        except Exception as error:
            raise Refusal(
                "beam-failed",
                None,
                expected="a Beam pipeline that finishes",
                found=f"a {type(error).__name__}",
                remedy="See the log of the runner, and check that all machines see input and "
                "output under the same paths. Finished cases are kept.",
            ) from None
        for job in jobs:
            yield _load_outcome(folder, job)
    finally:
        for path in folder.glob(f"*{_SUFFIX}"):
            path.unlink(missing_ok=True)


def _convert_and_save_outcome(job: CaseJob) -> None:
    """Convert a case and save its outcome, without paths of patients' files."""
    task, target = job
    try:
        stored = convert_case(job).to_json(task)
    except Refusal as refusal:  # the output cannot be written, which concerns all cases
        stored = {"ends_all": refusal.to_json()}
    with write_errors_as_refusals(target.output):
        atomic_files.write_json(target.output / MEMOS / f"{task.case}{_SUFFIX}", stored)


def _load_outcome(folder: Path, job: CaseJob) -> CaseOutcome:
    task, target = job
    try:
        stored = read_json(folder / f"{task.case}{_SUFFIX}")
        if "ends_all" not in stored:
            return CaseOutcome.from_json(stored, task)
        ends_all = Refusal.from_json(stored["ends_all"], target.output)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        missing = isinstance(error, FileNotFoundError)
        raise Refusal(
            "beam-failed",
            target.output,
            expected="an outcome file for every case",
            found=f"{'no' if missing else 'an unreadable'} outcome file for a case",
            remedy="Make sure that all machines see the output folder under the same path.",
        ) from None
    raise ends_all

"""From a study's grid to jobs: how each run is started, where it is stored, how much work it is."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from absl import app

from liver_tf import run_files
from liver_tf.records.folds import Split, load_folds, validate_on_test
from liver_tf.records.manifest import load_manifest
from liver_tf.results.study_inventory import CELLS, FINETUNE
from liver_tf.run_files import TEST_FOLD
from liver_tf.studies.cell_flags import refuse_unreadable
from liver_tf.studies.grid import StudyCell, grid
from liver_tf.studies.protocol_files import ProtocolFile, new_epochs
from liver_tf.studies.run_process import StudyJob
from liver_tf.studies.settings_guard import PROTOCOL, refuse_mixed_settings, shared_settings
from liver_tf.studies.study_progress import PlannedWork


@dataclass(frozen=True)
class LesionStudyInputs:
    """Inputs of a study of lesion networks: record sets, folds, pre-trained networks."""

    roi_records: Path
    whole_records: Path
    folds_file: Path
    pretrained: Path
    liver_run: Path

    #: The module that executes a run of the study.
    command = "trainers.cell"

    @property
    def training_records(self) -> Path:
        return self.roi_records

    def made_of(self, settings: Sequence[str]) -> dict[str, Any]:
        """Everything that decides the results, apart from protocol, fold, seed and validation."""
        return shared_settings(
            settings,
            fingerprints={
                "records": load_manifest(self.whole_records).fingerprint,
                "ROI records": load_manifest(self.roi_records).fingerprint,
            },
            folds_file=self.folds_file,
            weights={"pretrained weights": self.pretrained, "liver weights": self.liver_run},
        )

    def arguments(self) -> list[str]:
        """Flags of ``command``."""
        return [
            f"--records={self.roi_records}",
            f"--whole_records={self.whole_records}",
            f"--folds_file={self.folds_file}",
            f"--pretrained={self.pretrained}",
            f"--liver_run={self.liver_run}",
        ]


@dataclass(frozen=True)
class LiverStudyInputs:
    """Inputs of a study of liver networks; attributes and methods as in ``LesionStudyInputs``."""

    records: Path
    folds_file: Path
    pretrained: Path

    command = "trainers.liver_cell"

    @property
    def training_records(self) -> Path:
        return self.records

    def made_of(self, settings: Sequence[str]) -> dict[str, Any]:
        return shared_settings(
            settings,
            fingerprints={"records": load_manifest(self.records).fingerprint},
            folds_file=self.folds_file,
            weights={"pretrained weights": self.pretrained},
        )

    def arguments(self) -> list[str]:
        return [
            f"--records={self.records}",
            f"--folds_file={self.folds_file}",
            f"--pretrained={self.pretrained}",
        ]


@dataclass(frozen=True)
class StudyPlan:
    """A planned study: its jobs in order, their work by name, ``made_of`` by protocol."""

    study: Path
    jobs: tuple[StudyJob, ...]
    work: Mapping[str, PlannedWork]
    made_of: Mapping[str, Mapping[str, Any]]

    def missing(self) -> list[StudyJob]:
        """The jobs that are not done."""
        return [job for job in self.jobs if not job.is_done()]


def plan_study(
    study: Path,
    inputs: LesionStudyInputs | LiverStudyInputs,
    protocols: Sequence[ProtocolFile],
    *,
    folds: Sequence[int] | None,
    seeds: Sequence[int],
    settings: Mapping[str, Sequence[str]],
    validation: str,
) -> StudyPlan:
    """Plan all runs of a study; nothing is written.

    Args:
      study: its folder.
      folds: None for all folds of the file.
      settings: training flags that all runs share, by file.
      validation: ``inner`` or ``test_fold``.

    Raises:
      Refusal: records, folds or networks are missing, or the study was started with other settings
        (``study-differs``).
      UsageError: a fold that the file does not have, or flags that no run could read.
    """
    shared_flags = tuple(itertools.chain.from_iterable(settings.values()))
    manifest = load_manifest(inputs.training_records)
    splits = load_folds(inputs.folds_file, manifest)
    folds = range(len(splits)) if folds is None else folds
    if missing := [fold for fold in folds if fold >= len(splits)]:
        raise app.UsageError(f"--folds: expected 0 to {len(splits) - 1}, got {missing[0]}")
    common = inputs.made_of(shared_flags)
    made_of = {one.name: {**common, PROTOCOL: list(one.arguments)} for one in protocols}
    by_name = {protocol.name: protocol for protocol in protocols}
    epochs = new_epochs(protocols, shared_flags)
    slices_of = {entry.case: entry.records for entry in manifest.cases}
    jobs, work, started = [], {}, set()
    for cell in grid(folds, by_name, seeds):
        place = run_files.fold_name(cell.fold, on_test=validation == TEST_FOLD)
        job = StudyJob(
            name=cell.name,
            folder=study / CELLS / place / cell.protocol / f"seed{cell.seed}",
            run=run_files.run_folder(study / FINETUNE, place, cell.seed, cell.protocol),
            arguments=(
                *by_name[cell.protocol].arguments,
                *shared_flags,
                *inputs.arguments(),
                f"--runs={study / FINETUNE}",
                *(f"--fold={cell.fold}", f"--seed={cell.seed}"),
                f"--validation={validation}",
            ),
            working_folder=Path.cwd(),
            made_of=made_of[cell.protocol],
            command=inputs.command,
        )
        jobs.append(job)
        slices = _slices_per_epoch(splits[cell.fold], validation, slices_of)
        work[cell.name] = PlannedWork(slices, epochs[cell.protocol])
        if job.was_started():
            started.add(cell.protocol)
    _check_flags([one for one in protocols if one.name not in started], settings, shared_flags)
    refuse_mixed_settings(study, made_of)
    return StudyPlan(study, tuple(jobs), work, made_of)


def select_jobs(plan: StudyPlan, names: Sequence[str]) -> list[StudyJob]:
    """The jobs with these names (``StudyCell.parse``), or all if there are no names.

    Raises:
      UsageError: a name is malformed, or the study has no such run.
    """
    by_name = {job.name: job for job in plan.jobs}
    selected = []
    for name in names:
        try:
            cell = StudyCell.parse(name)
        except ValueError as error:
            raise app.UsageError(f"--only: {error}") from None
        if cell.name not in by_name:
            raise app.UsageError(
                f"--only: this study has no run {cell.name}; --list shows its runs"
            )
        selected.append(by_name[cell.name])
    return selected or list(plan.jobs)


def _check_flags(
    protocols: Sequence[ProtocolFile],
    settings: Mapping[str, Sequence[str]],
    shared_flags: Sequence[str],
) -> None:
    """Refuse flag files that no run could read, before the first run starts."""
    if protocols:
        refuse_unreadable(
            list(settings.items()),
            [(one.file or one.name, (*one.arguments, *shared_flags)) for one in protocols],
        )


def _slices_per_epoch(split: Split, validation: str, slices_of: Mapping[str, int]) -> int:
    split = validate_on_test(split) if validation == TEST_FOLD else split
    return sum(slices_of[case] for case in (*split.training, *split.validation))

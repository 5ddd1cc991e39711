"""From a study's grid to jobs: how each run is started, where it is stored, how much work it is."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from liver_tf import run_files
from liver_tf.options import OptionError
from liver_tf.records.folds import Split, load_folds, validate_on_test
from liver_tf.records.manifest import load_manifest
from liver_tf.results.study_inventory import CELLS, FINETUNE
from liver_tf.run_files import INNER, TEST_FOLD
from liver_tf.studies.grid import StudyCell, grid
from liver_tf.studies.protocol_files import ProtocolFile, epochs_by_cycle, new_epochs
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
class StudyDesign:
    """The grid of a study and what its runs share.

    Attributes:
      protocols: as read from their flag files.
      seeds: training seeds.
      folds: None for all folds of the file.
      settings: training flags that all runs share, by file.
      validation: ``inner`` or ``test_fold``.
    """

    protocols: Sequence[ProtocolFile]
    seeds: Sequence[int]
    folds: Sequence[int] | None = None
    settings: Mapping[str, Sequence[str]] = field(default_factory=dict)
    validation: str = INNER

    @property
    def shared_flags(self) -> tuple[str, ...]:
        return tuple(itertools.chain.from_iterable(self.settings.values()))


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
    study: Path, inputs: LesionStudyInputs | LiverStudyInputs, design: StudyDesign
) -> StudyPlan:
    """Plan all runs of a study in the folder ``study``; nothing is written.

    Raises:
      Refusal: records, folds or networks are missing, or the study was started with other settings
        (``study-differs``).
      OptionError: a fold that the file does not have, or flags that no run could read.
    """
    manifest = load_manifest(inputs.training_records)
    splits = load_folds(inputs.folds_file, manifest)
    folds = range(len(splits)) if design.folds is None else design.folds
    if missing := [fold for fold in folds if fold >= len(splits)]:
        raise OptionError("folds", f"expected 0 to {len(splits) - 1}, got {missing[0]}")
    common = inputs.made_of(design.shared_flags)
    made_of = {one.name: {**common, PROTOCOL: list(one.arguments)} for one in design.protocols}
    epochs = epochs_by_cycle(design.protocols, design.settings)
    cells = grid(dict.fromkeys(folds), made_of, dict.fromkeys(design.seeds))
    jobs = [_job(cell, study, inputs, design, made_of[cell.protocol]) for cell in cells]
    epochs = new_epochs(design.protocols, epochs)
    slices_of = {entry.case: entry.records for entry in manifest.cases}
    work = {}
    for cell in cells:
        slices = _slices_per_epoch(splits[cell.fold], design.validation, slices_of)
        work[cell.name] = PlannedWork(slices, epochs[cell.protocol])
    refuse_mixed_settings(study, made_of)
    return StudyPlan(study, tuple(jobs), work, made_of)


def select_jobs(plan: StudyPlan, names: Sequence[str]) -> list[StudyJob]:
    """The jobs with these names (``StudyCell.parse``), or all if there are no names.

    Raises:
      OptionError: a name is malformed, or the study has no such run.
    """
    by_name = {job.name: job for job in plan.jobs}
    selected = []
    for name in names:
        try:
            cell = StudyCell.parse(name)
        except ValueError as error:
            raise OptionError("only", str(error)) from None
        if cell.name not in by_name:
            raise OptionError("only", f"this study has no run {cell.name}; --list shows its runs")
        selected.append(by_name[cell.name])
    return selected or list(plan.jobs)


def _job(
    cell: StudyCell,
    study: Path,
    inputs: LesionStudyInputs | LiverStudyInputs,
    design: StudyDesign,
    made_of: Mapping[str, Any],
) -> StudyJob:
    fold = run_files.fold_name(cell.fold, on_test=design.validation == TEST_FOLD)
    return StudyJob(
        name=cell.name,
        folder=study / CELLS / fold / cell.protocol / f"seed{cell.seed}",
        run=run_files.run_folder(study / FINETUNE, fold, cell.seed, cell.protocol),
        arguments=(
            *made_of[PROTOCOL],
            *design.shared_flags,
            *inputs.arguments(),
            f"--runs={study / FINETUNE}",
            *(f"--fold={cell.fold}", f"--seed={cell.seed}"),
            f"--validation={design.validation}",
        ),
        working_folder=Path.cwd(),
        made_of=made_of,
        command=inputs.command,
    )


def _slices_per_epoch(split: Split, validation: str, slices_of: Mapping[str, int]) -> int:
    split = validate_on_test(split) if validation == TEST_FOLD else split
    return sum(slices_of[case] for case in (*split.training, *split.validation))

"""Plans a study: the jobs of its grid, their folders and flags, and how much work each is."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from liver_tf import run_files
from liver_tf.atomic_files import sha256_of
from liver_tf.command_line.flags_of_options import parse
from liver_tf.options import OptionError
from liver_tf.records.folds import Split, load_folds, validate_on_test
from liver_tf.records.manifest import load_manifest
from liver_tf.refusals import Refusal
from liver_tf.results.study_inventory import CELLS, FINETUNE
from liver_tf.run_files import INNER, TEST_FOLD
from liver_tf.studies.finetune_and_evaluate import LesionRunSettings
from liver_tf.studies.grid import StudyCell, grid
from liver_tf.studies.protocol_files import ProtocolFile, epochs_by_cycle, new_epochs
from liver_tf.studies.run_process import StudyJob
from liver_tf.studies.settings_guard import PROTOCOL, refuse_mixed_settings
from liver_tf.studies.study_progress import PlannedWork
from liver_tf.training.training_settings import ONE


@dataclass(frozen=True)
class StudyInputs:
    """Inputs of a study, named as the flags of a run.

    Attributes:
      records: record set to train on.
      pretrained: run of the pre-trained network.
      liver_run, whole_records: for lesion networks, which are evaluated on whole slices.
      neighbour_truth: true labels of neighbours, of phantoms; affects no result.
    """

    records: Path
    folds_file: Path
    pretrained: Path
    liver_run: Path | None = None
    whole_records: Path | None = None
    neighbour_truth: Path | None = None

    def made_of(self, settings: list[str]) -> dict[str, Any]:
        """Everything that decides the results, apart from protocol, fold, seed and validation.

        Files are identified by their SHA-256, record sets by their fingerprint. Raises ``Refusal``,
        ``no-model``, if a pre-trained network is missing.
        """
        fingerprint = load_manifest(self.records).fingerprint
        made_of = {
            "settings": settings,
            "records": fingerprint,
            "folds": sha256_of(self.folds_file),
            "pretrained weights": _hash_of_weights(self.pretrained),
        }
        if self.liver_run is not None and self.whole_records is not None:
            made_of["records"] = load_manifest(self.whole_records).fingerprint
            made_of["ROI records"] = fingerprint
            made_of["liver weights"] = _hash_of_weights(self.liver_run)
        return made_of


@dataclass(frozen=True)
class StudyDesign:
    """The grid of a study and what its runs share.

    Attributes:
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
    def shared_flags(self) -> list[str]:
        return list(itertools.chain.from_iterable(self.settings.values()))


@dataclass(frozen=True)
class StudyPlan:
    """The jobs of a study in order, and their work by name."""

    study: Path
    jobs: tuple[StudyJob, ...]
    work: Mapping[str, PlannedWork]

    def missing(self) -> list[StudyJob]:
        """The jobs that are not done."""
        return [job for job in self.jobs if not job.is_done()]


def plan_study(study: Path, inputs: StudyInputs, design: StudyDesign) -> StudyPlan:
    """Plan all runs of a study in the folder ``study``; nothing is written.

    Raises:
      Refusal: records, folds or networks are missing, or the study was started with other settings
        (``study-differs``).
      OptionError: a fold that the file does not have, or flags that no run could read.
    """
    manifest = load_manifest(inputs.records)
    splits = load_folds(inputs.folds_file, manifest)
    folds = chosen_folds(design.folds, splits)
    common = inputs.made_of(design.shared_flags)
    made_of = {one.name: {**common, PROTOCOL: list(one.arguments)} for one in design.protocols}
    epochs = new_epochs(design.protocols, epochs_by_cycle(design.protocols, design.settings))
    options = {
        one.name: parse(LesionRunSettings, [*one.arguments, *design.shared_flags])
        for one in design.protocols
    }
    refuse_mixed_settings(study, made_of)
    slices_of = {entry.case: entry.records for entry in manifest.cases}
    on_test = design.validation == TEST_FOLD
    jobs, work = [], {}
    for cell in grid(dict.fromkeys(folds), made_of, dict.fromkeys(design.seeds)):
        fold = run_files.fold_name(cell.fold, on_test=on_test)
        job = StudyJob(
            name=cell.name,
            folder=study / CELLS / fold / cell.protocol / f"seed{cell.seed}",
            run=run_files.run_folder(study / FINETUNE, fold, cell.seed, cell.protocol),
            arguments=(
                *made_of[cell.protocol][PROTOCOL],
                *design.shared_flags,
                *(f"--{name}={path}" for name, path in vars(inputs).items() if path is not None),
                f"--runs={study / FINETUNE}",
                f"--fold={cell.fold}",
                f"--seed={cell.seed}",
                f"--validation={design.validation}",
            ),
            made_of=made_of[cell.protocol],
            command="trainers.liver_cell" if inputs.liver_run is None else "trainers.cell",
            process=_process(options[cell.protocol], cell) if inputs.liver_run else "",
            needs=_labelling_run(options[cell.protocol], cell),
        )
        jobs.append(job)
        split = validate_on_test(splits[cell.fold]) if on_test else splits[cell.fold]
        slices = sum(slices_of[case] for case in (*split.training, *split.validation))
        work[cell.name] = PlannedWork(slices, epochs[cell.protocol])
    return StudyPlan(study, tuple(jobs), work)


def chosen_folds(folds: Sequence[int] | None, splits: Sequence[Split]) -> Sequence[int]:
    """The folds of a study, by default all; ``OptionError`` for one that does not exist."""
    if folds is None:
        return range(len(splits))
    if missing := [fold for fold in folds if fold >= len(splits)]:
        raise OptionError("folds", f"expected 0 to {len(splits) - 1}, found {missing[0]}")
    return folds


def select_jobs(plan: StudyPlan, names: Sequence[str]) -> list[StudyJob]:
    """The jobs with these names, or all if there are none; ``OptionError`` for an unknown name."""
    by_name = {job.name: job for job in plan.jobs}
    selected = []
    for name in names:
        full_name = StudyCell.parse(name).name
        if full_name not in by_name:
            raise OptionError("only", f"this study has no run {full_name}; --list shows its runs")
        selected.append(by_name[full_name])
    return selected or list(plan.jobs)


def _process(options: LesionRunSettings, cell: StudyCell) -> str:
    """``StudyJob.process``: runs of equal data, whose processes prepare TensorFlow equally."""
    computation = options.computation
    return f"fold{cell.fold}/seed{cell.seed}, {computation}" if computation.strategy == ONE else ""


def _labelling_run(options: LesionRunSettings, cell: StudyCell) -> str:
    """``StudyJob.needs``: the run that labels the neighbours for this one, if there is one."""
    labels = options.neighbour_labels
    return "" if labels is None else StudyCell(cell.fold, labels, cell.seed).name


def _hash_of_weights(run: Path) -> str:
    weights = run / run_files.WEIGHTS
    if not weights.is_file():
        raise Refusal(
            "no-model",
            run,
            expected="a finished run with its weights",
            found="a folder without weights" if run.is_dir() else "no such folder",
            remedy="Train it first; the same command resumes an interrupted run.",
        )
    return sha256_of(weights)

"""From a study's grid to jobs: how each cell is started, where it lies, how much work it is."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from absl import app

from liver_tf import run_files
from liver_tf.records.folds import TEST_FOLD, Split, load_folds, validate_on_test
from liver_tf.records.manifest import load_manifest
from liver_tf.studies.cell_flags import refuse_unreadable
from liver_tf.studies.cell_process import CellJob
from liver_tf.studies.study import Cell, Protocol, grid, new_epochs
from liver_tf.studies.study_identity import CELLS, FINETUNE, PROTOCOL, shared
from liver_tf.studies.study_progress import Work


@dataclass(frozen=True)
class Sources:
    """What a study of lesion networks is made of: record sets, folds, runs of the networks before.

    ``trained_on`` are the records that are trained on, ``command`` carries out a cell.
    """

    roi_records: Path
    whole_records: Path
    folds_file: Path
    pretrained: Path
    liver_run: Path

    command = "trainers.cell"

    @property
    def trained_on(self) -> Path:
        return self.roi_records

    def made_of(self, settings: Sequence[str]) -> dict[str, Any]:
        """All that decides the results beside protocol, fold, seed and who validates."""
        return shared(
            settings,
            fingerprints={
                "records": load_manifest(self.whole_records).fingerprint,
                "ROI records": load_manifest(self.roi_records).fingerprint,
            },
            folds_file=self.folds_file,
            weights={"pretrained weights": self.pretrained, "liver weights": self.liver_run},
        )

    def arguments(self) -> list[str]:
        """As flags of trainers.cell."""
        return [
            f"--records={self.roi_records}",
            f"--whole_records={self.whole_records}",
            f"--folds_file={self.folds_file}",
            f"--pretrained={self.pretrained}",
            f"--liver_run={self.liver_run}",
        ]


@dataclass(frozen=True)
class LiverSources:
    """What a study of liver networks is made of; attributes and methods as of ``Sources``."""

    records: Path
    folds_file: Path
    pretrained: Path

    command = "trainers.liver_cell"

    @property
    def trained_on(self) -> Path:
        return self.records

    def made_of(self, settings: Sequence[str]) -> dict[str, Any]:
        return shared(
            settings,
            fingerprints={"records": load_manifest(self.records).fingerprint},
            folds_file=self.folds_file,
            weights={"pretrained weights": self.pretrained},
        )

    def arguments(self) -> list[str]:
        """As flags of trainers.liver_cell."""
        return [
            f"--records={self.records}",
            f"--folds_file={self.folds_file}",
            f"--pretrained={self.pretrained}",
        ]


@dataclass(frozen=True)
class Plan:
    """A study to be carried out: its cells in order, their work by name, their settings."""

    jobs: tuple[CellJob, ...]
    work: Mapping[str, Work]
    made_of: Mapping[str, Mapping[str, Any]]


def plan(
    study: Path,
    sources: Sources | LiverSources,
    protocols: Sequence[Protocol],
    *,
    folds: Sequence[int] | None,
    seeds: Sequence[int],
    settings: Mapping[str, Sequence[str]],
    validation: str,
) -> Plan:
    """All cells of a study.

    Args:
      folds: None takes those of the file. settings: flags that all cells share, by their file.

    Raises:
      Refusal: records, folds or networks that are not there.
      UsageError: a fold that the file does not have, flags that no cell could read.
    """
    shared_flags = tuple(itertools.chain.from_iterable(settings.values()))
    manifest = load_manifest(sources.trained_on)
    splits = load_folds(sources.folds_file, manifest)
    folds = range(len(splits)) if folds is None else folds
    if missing := [fold for fold in folds if fold >= len(splits)]:
        raise app.UsageError(f"--folds: expected 0 to {len(splits) - 1}, got {missing[0]}")
    common = sources.made_of(shared_flags)
    made_of = {one.name: {**common, PROTOCOL: list(one.arguments)} for one in protocols}
    by_name = {one.name: one for one in protocols}
    cells, jobs, work = grid(folds, by_name, seeds), [], {}
    for cell in cells:
        place = run_files.fold_name(cell.fold, on_test=validation == TEST_FOLD)
        jobs.append(
            CellJob(
                name=cell.name,
                folder=study / CELLS / place / cell.protocol / f"seed{cell.seed}",
                run=run_files.run_folder(study / FINETUNE, place, cell.seed, cell.protocol),
                arguments=(
                    *by_name[cell.protocol].arguments,
                    *shared_flags,
                    *sources.arguments(),
                    f"--runs={study / FINETUNE}",
                    *_which(cell),
                    f"--validation={validation}",
                ),
                working_folder=Path.cwd(),
                made_of=made_of[cell.protocol],
                command=sources.command,
            )
        )
    started = {cell.protocol for cell, job in zip(cells, jobs, strict=True) if job.was_started()}
    unread = [one for one in protocols if one.name not in started]
    if unread:
        refuse_unreadable(
            list(settings.items()),
            [(one.file or one.name, (*one.arguments, *shared_flags)) for one in unread],
        )
    epochs = new_epochs(protocols, shared_flags)
    slices_of = {entry.case: entry.records for entry in manifest.cases}
    for cell in cells:
        slices = _slices_an_epoch(splits[cell.fold], validation, slices_of)
        work[cell.name] = Work(tuple(slices * count for count in epochs[cell.protocol]))
    return Plan(tuple(jobs), work, made_of)


def _which(cell: Cell) -> list[str]:
    return [f"--fold={cell.fold}", f"--seed={cell.seed}"]


def _slices_an_epoch(split: Split, validation: str, slices_of: Mapping[str, int]) -> int:
    split = validate_on_test(split) if validation == TEST_FOLD else split
    return sum(slices_of[case] for case in (*split.training, *split.validation))

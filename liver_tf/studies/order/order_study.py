"""The order study end to end: phantoms, cohorts, cells, report.

A cell is a process (``order_cell``). Cells of the primary arms come first, then the secondary arms,
then the other numbers of patients, so that an interrupted study has the most important results.
"""

from dataclasses import dataclass
from pathlib import Path

from liver_tf.command_line.flag_files import read_flag_file
from liver_tf.command_line.invocation import show_next
from liver_tf.phantom.phantom_plan import TEST_PATIENTS
from liver_tf.records.folds import load_folds, save_folds
from liver_tf.records.manifest import Manifest, load_manifest
from liver_tf.studies.command_chain import ChainStep, run_chain
from liver_tf.studies.order import order_folders as folders
from liver_tf.studies.order.order_arms import PRIMARY, SECONDARY, arms_of
from liver_tf.studies.order.order_runs import read_runs
from liver_tf.studies.order.order_settings import OrderStudySettings
from liver_tf.studies.phantom_study import conversion_steps, phantom_step
from liver_tf.studies.reproduce import make_engine
from liver_tf.studies.run_process import StudyJob
from liver_tf.studies.scheduler import JobResult, run_remaining
from liver_tf.studies.study_progress import PlannedWork


@dataclass(frozen=True)
class OrderCell:
    """Some arms of a replicate with a number of training patients."""

    patients: int
    replicate: int
    group: str

    @property
    def name(self) -> str:
        return f"{self.group}/patients{self.patients}/replicate{self.replicate}"


def run_order_study(study: OrderStudySettings) -> bool:
    """Run what is not done, then write the report; returns whether all cells succeeded.

    Raises:
      Refusal: the records, or a run, cannot be used.
    """
    failed: list[JobResult] = []
    if not study.report_only:
        if not study.list_cells:
            run_chain(data_steps(study), study.folder, "the study")
            _write_folds(study)
        jobs, work = plan_cells(study, load_manifest(_typed_rois(study)))
        if study.list_cells:
            for job in jobs:
                print(f"{job.name}\t{job.state()}")
            return True
        failed = run_remaining(jobs, work, lambda: make_engine(study.engine))
    from liver_tf.studies.order.order_report import write_order_report

    report = write_order_report(study)
    print(f"\nPhantoms, not patients. Report: {report}.")
    show_next(f"open {report}")
    return not failed


def cells_of(study: OrderStudySettings) -> list[OrderCell]:
    """All cells in the order in which they are run."""
    main = study.patients
    return [
        *(OrderCell(main, replicate, PRIMARY) for replicate in range(study.replicates)),
        *(OrderCell(main, replicate, SECONDARY) for replicate in range(study.secondary_replicates)),
        *(
            OrderCell(patients, replicate, PRIMARY)
            for replicate in range(study.size_replicates)
            for patients in study.other_patients
        ),
    ]


def data_steps(study: OrderStudySettings) -> list[ChainStep]:
    """Phantoms, record sets, and ROIs around the true liver: no liver network takes part."""
    folder = study.folder
    size = {name: getattr(study, name) for name in ("lits_volumes", "lits_slices", "matrix")}
    size |= {"patients": study.cohorts * (study.patients + 1), "test_patients": study.test_patients}
    typed = {"test_patients": folder / "data" / TEST_PATIENTS}
    return [
        phantom_step(folder, 600, **size, workers=study.engine.workers),
        *conversion_steps(folder, 60, typed),
        *(
            ChainStep(
                name,
                "cut ROIs around the true liver",
                30,
                "data_prep.make_rois",
                {
                    "input": folder / "tfrecords" / name.removesuffix("_roi"),
                    "output": folders.rois_folder(folder, name),
                    "true_liver": "true",
                },
                folders.rois_folder(folder, name) / "manifest.json",
            )
            for name in (folders.LITS_ROIS, folders.TYPED_ROIS)
        ),
    ]


def plan_cells(
    study: OrderStudySettings, manifest: Manifest
) -> tuple[list[StudyJob], dict[str, PlannedWork]]:
    """A job for each cell in the order of ``cells_of``, and its work by name.

    Cells whose runs are all in ``earlier_runs`` are skipped.
    The run of a job is that of its last arm, so a job is done once all arms are measured.
    """
    records = {entry.case: entry.records for entry in manifest.cases}
    splits = load_folds(folders.folds_file(study.folder), manifest)
    shared = {
        name: list(read_flag_file(study.flag_files / f"{name}.flags"))
        for name in ("lesion", "finetune")
    }
    earlier = read_runs(study.earlier_runs) if study.earlier_runs else {}
    jobs, work = [], {}
    for cell in cells_of(study):
        fold, epochs = study.fold(cell.patients, cell.replicate), study.epochs_of(cell.patients)
        arms = arms_of(cell.group, cell.replicate)
        if all((cell.patients, cell.replicate, arm.name) in earlier for arm in arms):
            continue
        options = {
            "folder": study.folder,
            "flag_files": study.flag_files,
            "group": cell.group,
            "replicate": cell.replicate,
            "fold": fold,
            "epochs": epochs,
        }
        jobs.append(
            StudyJob(
                name=cell.name,
                folder=study.folder / "cells" / cell.name,
                run=folders.run_of(study.folder, fold, cell.replicate, arms[-1].name),
                arguments=tuple(f"--{name}={value}" for name, value in options.items()),
                made_of={
                    **shared,
                    "records": manifest.fingerprint,
                    "arms": [list(arm.flags(epochs)) for arm in arms],
                },
                command="trainers.order_cell",
            )
        )
        slices = sum(records[case] for case in splits[fold].training)
        work[cell.name] = PlannedWork(slices, tuple(arm.length * epochs for arm in arms))
    return jobs, work


def _typed_rois(study: OrderStudySettings) -> Path:
    return folders.rois_folder(study.folder, folders.TYPED_ROIS)


def _write_folds(study: OrderStudySettings) -> None:
    """One fold for every size and cohort."""
    whole, manifest = study.folder / "tfrecords" / "sheba", load_manifest(_typed_rois(study))
    (split,) = load_folds(whole / "folds.json", manifest)
    cohort = (*split.training, *split.validation)
    splits = folders.replicate_splits(
        manifest, cohort, split.test, study.cohorts, list(study.sizes)
    )
    arguments = {"cohorts": study.cohorts, "sizes": list(study.sizes)}
    save_folds(folders.folds_file(study.folder), manifest, splits, arguments)

"""Where an order study keeps its data and runs, and its folds: one for each cohort and size."""

from collections.abc import Sequence
from pathlib import Path

from liver_tf.records.folds import Split
from liver_tf.records.manifest import Manifest
from liver_tf.refusals import Refusal
from liver_tf.run_files import fold_name, run_folder

LITS_ROIS, TYPED_ROIS = "lits_roi", "sheba_roi"


def rois_folder(folder: Path, name: str) -> Path:
    """The record set of ROIs: ``LITS_ROIS`` or ``TYPED_ROIS``."""
    return folder / "tfrecords" / name


def folds_file(folder: Path) -> Path:
    """The folds of all replicates."""
    return folder / "order_folds.json"


def runs_folder(folder: Path) -> Path:
    """The folder of all fine-tuned runs."""
    return folder / "runs"


def pretrained_run(folder: Path, replicate: int) -> Path:
    """The pre-trained network of a replicate."""
    return folder / "pretrained" / f"replicate{replicate}"


def run_of(folder: Path, fold: int, replicate: int, arm: str) -> Path:
    """The run of an arm."""
    return run_folder(runs_folder(folder), fold_name(fold, on_test=False), replicate, arm)


def replicate_splits(
    manifest: Manifest, cohort: Sequence[str], test: tuple[str, ...], cohorts: int, sizes: list[int]
) -> tuple[Split, ...]:
    """Splits of disjoint training cohorts and one test cohort, size by size.

    A cohort has as many patients as the largest size, and one for validation, which no decision
    uses. Smaller sizes are subsets of larger ones. All have the diagnoses in equal proportions, as
    far as whole patients allow.

    Args:
      cohort: the cases that are not tested.
      sizes: numbers of training patients, the largest one first.

    Raises:
      Refusal: ``too-few-patients``.
    """
    length = sizes[0] + 1
    if len(cohort) < cohorts * length:
        raise Refusal(
            "too-few-patients",
            None,
            expected=f"{cohorts * length} patients for {cohorts} cohorts",
            found=str(len(cohort)),
            remedy="Lower --cohorts or --patients.",
        )
    diagnosis_of = {entry.case: entry.diagnosis for entry in manifest.cases}
    by_diagnosis: dict[str, list[str]] = {}
    for case in sorted(cohort):
        by_diagnosis.setdefault(diagnosis_of[case], []).append(case)
    # Cases at equal shares of each diagnosis: every stretch has the proportions of the whole.
    placed = [
        ((number + 0.5) / len(cases), case)
        for cases in by_diagnosis.values()
        for number, case in enumerate(cases)
    ]
    mixed = [case for _, case in sorted(placed)]
    blocks = [mixed[first : first + length] for first in range(0, cohorts * length, length)]
    left = mixed[cohorts * length :]
    splits = [Split(tuple(b[:size]), (b[-1],), test) for size in sizes for b in blocks]
    # Every case must be in a fold.
    splits[0] = Split(splits[0].training, (*splits[0].validation, *left), test)
    return tuple(splits)

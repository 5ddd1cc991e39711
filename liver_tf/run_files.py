"""The files of a run folder, their contents, and the rooms that write them.

run.json                    arguments and data that determine the weights (training)
seen.json                   training cases, for the leakage guard (training)
cycleN/state.npz            weights, optimiser and progress after the last epoch; deleted when
the cycle is finished (training)
cycleN/best.npz             weights of the best epoch (training)
cycleN/history.csv          losses and Dice, one row per epoch (training)
cycleN/cycle.json           result of a finished cycle: best epoch, block hashes (training)
cycleN/key                  hash of everything that determines the cycle's outcome (training)
cycleN/tensorboard/         scalars and overlay images (training)
weights.npz, model.json     final weights and their description (training)
SHA256SUMS                  checksum of run.json, weights.npz, model.json, postprocessing.json
(training, inference); earlier versions wrote none
postprocessing.json         threshold, holes, minimum lesion size (inference, assessment)
looks.json                  settings with which a part was predicted (results)
measures/PART.json, .csv    results per slice; PART is test or validation (results)
measures/PART_labels.npz    predicted label maps (assessment)
measures/PART_shown.npz     slices shown in the report (results)
extended_records/           training records with labelled neighbours (anatomical)

Beside the seeds of a fold, ``FOLD/ensembles/PROTOCOL/`` has the ``measures/`` of the average of
their networks.
"""

import zipfile
import zlib
from pathlib import Path
from typing import Any

from liver_tf.bounded_files import open_npz, parse_json, read_json
from liver_tf.refusals import Refusal

IDENTITY = "run.json"
TRAINING_DATA = "seen.json"
WEIGHTS = "weights.npz"
DESCRIPTION = "model.json"
POSTPROCESSING = "postprocessing.json"
LOOKS = "looks.json"
MEASURES = "measures"
ENSEMBLES = "ensembles"
EXTENDED_RECORDS = "extended_records"

#: In the folder of a cycle (``cycle_folder``).
STATE = "state.npz"
#: The entry of ``state.npz`` with the progress of the cycle, as JSON.
STATE_PROGRESS = "memo"
BEST_WEIGHTS = "best.npz"
HISTORY = "history.csv"
CYCLE_RESULT = "cycle.json"
CYCLE_KEY = "key"
TENSORBOARD = "tensorboard"

#: In place of a fold, for a run without folds.
HOLD_OUT = "hold_out"
#: Patients used for early stopping: set aside from training, or those of the test fold.
INNER, TEST_FOLD = VALIDATIONS = ("inner", "test_fold")
#: Suffix of a fold's folder if its test patients were used for early stopping.
VALIDATED_ON_TEST = "_validated_on_test"


def fold_name(fold: int, *, on_test: bool) -> str:
    """The folder of a fold; ``on_test``: its test patients were used for early stopping."""
    return f"fold{fold}{VALIDATED_ON_TEST if on_test else ''}"


def run_folder(runs: Path, fold: str, seed: int, protocol: str) -> Path:
    """The folder of a fine-tuned run below ``--runs``; ``fold``: ``fold_name`` or ``HOLD_OUT``."""
    return runs / fold / f"seed{seed}" / protocol


def ensemble_folder(run: Path) -> Path:
    """The folder for results of the ensemble of a run and its other seeds."""
    return run.resolve().parents[1] / ENSEMBLES / run.resolve().name


def cycle_folder(run: Path, number: int) -> Path:
    """The folder of a cycle, counted from 1."""
    return run / f"cycle{number}"


def cycle_results(run: Path) -> list[Path]:
    """The ``cycle.json`` of every finished cycle, in no particular order."""
    return list(run.glob(f"cycle*/{CYCLE_RESULT}"))


def finished_epochs(run: Path) -> tuple[int, int]:
    """Number of finished cycles, and of finished epochs of the cycle in training.

    The epochs are read from ``state.npz``; 0 if it is damaged.
    """
    cycles = len(cycle_results(run))
    try:
        with open_npz(cycle_folder(run, cycles + 1) / STATE) as state:
            return cycles, int(parse_json(str(state[STATE_PROGRESS]))["epoch"])
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error):
        return cycles, 0


def results_file(run: Path, part: str = "test") -> Path:
    """The results of a run for a part of its fold, ``test`` or ``validation``."""
    return run / MEASURES / f"{part}.json"


def results_table(run: Path, part: str = "test") -> Path:
    """The same results as CSV."""
    return run / MEASURES / f"{part}.csv"


def label_maps_file(run: Path, part: str = "test") -> Path:
    """The label maps predicted for a part."""
    return run / MEASURES / f"{part}_labels.npz"


def shown_slices_file(run: Path, part: str = "test") -> Path:
    """The slices of a part that the report shows."""
    return run / MEASURES / f"{part}_shown.npz"


def require_identity(run: Path, part: str) -> dict[str, Any]:
    """The content of ``run.json``, with the cases of a part of its split.

    Raises:
      Refusal: ``run-damaged``: it is missing or damaged, or has no such part.
    """
    try:
        identity = read_identity(run)
        int(identity.get("seed", 0))
        if all(isinstance(case, str) for case in identity["split"][part]):
            return identity
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise Refusal(
        "run-damaged",
        run / IDENTITY,
        expected=f"the JSON written when the run was started, with its {part} cases",
        found="a missing or damaged file",
        remedy="Copy the run again from its source.",
    )


def read_identity(run: Path) -> dict[str, Any]:
    """The content of ``run.json``; raises what opening and parsing raise."""
    return dict(read_json(run / IDENTITY))

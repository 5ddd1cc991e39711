"""The runs of a study (folds x seeds x protocols): which exist, and in which state.

Runs are in ``STUDY/finetune/fold<F>/seed<S>/<protocol>/``; runs validated on the test fold are
below ``fold<F>_validated_on_test``.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from liver_tf import run_files
from liver_tf.bounded_files import read_json
from liver_tf.refusals import Refusal
from liver_tf.results.example_slices import ExampleSlice, load_examples
from liver_tf.results.run_results import LOOSE, RunResults, hash_of_ensemble, run_name
from liver_tf.results.stored_results import has_results, load_results
from liver_tf.results.training_history import FinishedCycle, read_cycles
from liver_tf.run_files import INNER, TEST_FOLD

FINETUNE = "finetune"

#: Where ``trainers.reproduce`` records the outcome of a run: ``cells/fold<F>/<protocol>/seed<S>``.
CELLS, OUTCOME = "cells", "cell.json"

EVALUATED = "evaluated"


@dataclass(frozen=True)
class StudyRun:
    """One run of a study.

    Attributes:
      run: its folder.
      name: place among the other runs, e.g. ``fold0/seed0/hier_freeze``.
      validation: ``inner`` or ``test_fold``.
      state: ``evaluated``, or a description of what is missing.
      identity: content of ``run.json``; empty if missing or unreadable.
      model: content of ``model.json``; empty if missing or unreadable.
      choice: content of ``postprocessing.json``; empty if missing or unreadable.
      results: results on the test part; None unless evaluated.
      examples: worst, median and best slice by rank; empty if none were kept.
      wall_s: wall-clock seconds by step (training, measuring), if the study recorded them.
    """

    run: Path
    name: str
    protocol: str
    fold: str
    seed: int
    validation: str
    state: str
    identity: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    cycles: tuple[FinishedCycle, ...] = ()
    results: RunResults | None = None
    examples: Mapping[str, ExampleSlice] = field(default_factory=dict)
    wall_s: Mapping[str, float] = field(default_factory=dict)
    choice: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The protocol, marked if the run was validated on the test fold."""
        return self.protocol if self.validation == INNER else f"{self.protocol}, {LOOSE}"

    @property
    def seconds(self) -> float:
        """Training time of all cycles, including those copied from other runs."""
        return sum(cycle.seconds for cycle in self.cycles)

    @property
    def choice_warnings(self) -> tuple[str, ...]:
        """Warnings of the choice of post-processing, if the results were made with it."""
        used = self.results is not None and self.results.made_of.get("postprocessing")
        if not used or self.choice.get("text") != used:
            return ()
        warnings = self.choice.get("warnings")
        return tuple(map(str, warnings)) if isinstance(warnings, list) else ()


def read_study(study: Path, planned: Sequence[Path] = ()) -> tuple[StudyRun, ...]:
    """Every run of a study, including runs that are planned or missing from the grid.

    Args:
      study: folder of the study.
      planned: folders below ``study`` of runs that belong to it whether they exist or not.

    Raises:
      Refusal: ``no-study``: no run below ``study``, and none planned.
    """
    folders = sorted((study / FINETUNE).glob("*/seed*/*"))
    existing = [run for run in folders if run.is_dir() and not run.name.startswith(".")]
    if not existing and not planned:
        raise Refusal(
            "no-study",
            study,
            expected=f"a study folder with runs below {FINETUNE}/fold<F>/seed<S>/<protocol>",
            found="no runs" if study.is_dir() else "no such folder",
            remedy="Run the study first, or correct the path.",
        )
    runs: dict[_Place, StudyRun] = {}
    for folder in existing:
        run = read_run(folder)
        if run.results is None and not run.identity:
            run = _absent(study, _place(folder), run.state)
        runs[_place(folder)] = run
    for folder in planned:
        runs.setdefault(_place(folder), _absent(study, _place(folder), "not started"))
    for loose in (False, True):
        grid = [place for place in runs if place[0].endswith(run_files.VALIDATED_ON_TEST) is loose]
        for fold, seed, protocol in itertools.product(*({p[k] for p in grid} for k in range(3))):
            place = (fold, seed, protocol)
            runs.setdefault(place, _absent(study, place, "missing"))
    return tuple(_with_outcome(study, place, runs[place]) for place in sorted(runs))


def read_run(run: Path) -> StudyRun:
    """One run, wherever it is. Problems are described in ``state``, never raised."""
    identity, model = _read_identity(run), read_object(run / run_files.DESCRIPTION)
    cycles = read_cycles(run)
    results, state = None, _state(run, identity, cycles)
    if has_results(run, "test"):
        try:
            results, state = load_results(run), EVALUATED
        except Refusal as refusal:
            state = f"results cannot be read ({refusal.code})"
    fold = str(identity.get("fold", "")) if results is None else results.fold
    seed = _integer(identity.get("seed")) if results is None else results.seed
    protocol = run.resolve().name if results is None else results.protocol
    validation = identity.get("validation", INNER) if results is None else results.validation
    name = run_name(fold, seed, protocol, validation)
    return StudyRun(
        *(run, name, protocol, fold, seed, validation, state, identity, model, cycles, results),
        examples={} if results is None else load_examples(run, results) or {},
        choice=read_object(run / run_files.POSTPROCESSING),
    )


def evaluated(runs: Sequence[StudyRun]) -> list[RunResults]:
    """The results of the evaluated runs."""
    return [run.results for run in runs if run.results is not None]


def evaluated_ensembles(runs: Sequence[StudyRun]) -> list[RunResults]:
    """Results of the ensembles of evaluated runs, unless they are those of other networks."""
    members: dict[Path, list[RunResults]] = {}
    for run in runs:
        if run.results is not None:
            members.setdefault(run_files.ensemble_folder(run.run), []).append(run.results)
    ensembles = []
    for folder, seeds in members.items():
        weights = hash_of_ensemble([seed.made_of.get("weights", "") for seed in seeds])
        if len(seeds) > 1 and has_results(folder, "test"):
            results = load_results(folder)
            if results.made_of.get("weights") == weights:
                ensembles.append(results)
    return ensembles


_Place = tuple[str, str, str]


def _place(run: Path) -> _Place:
    return run.parents[1].name, run.parent.name, run.name


def _with_outcome(study: Path, place: _Place, run: StudyRun) -> StudyRun:
    """The run with the study's record of it: failure and wall-clock times."""
    fold, seed, protocol = place
    folder = Path(CELLS, fold, protocol, seed)
    outcome = read_object(study / folder / OUTCOME)
    run = replace(run, wall_s=durations(outcome))
    if outcome.get("state") == "failed" and run.results is None:
        log = f"; see {folder.as_posix()}/log.txt"
        return replace(run, state=f"FAILED ({run.state}){log}")
    return run


def _absent(study: Path, place: _Place, state: str) -> StudyRun:
    folder, seed, protocol = place
    loose = folder.endswith(run_files.VALIDATED_ON_TEST)
    fold = folder.removesuffix(run_files.VALIDATED_ON_TEST).removeprefix("fold")
    number = _integer(seed.removeprefix("seed"))
    validation = TEST_FOLD if loose else INNER
    name = run_name(fold, number, protocol, validation)
    run = study.joinpath(FINETUNE, *place)
    return StudyRun(run, name, protocol, fold, number, validation, state)


def _state(run: Path, identity: Mapping[str, Any], cycles: Sequence[FinishedCycle]) -> str:
    if (run / run_files.WEIGHTS).is_file():
        return "trained, not evaluated"
    planned = identity.get("protocol", {}).get("cycles", ())
    if planned:
        return f"training not finished: {len(cycles)} of {len(planned)} cycles"
    return "not started"


def _read_identity(run: Path) -> dict[str, Any]:
    """``run.json``; empty if absent or damaged."""
    identity = read_object(run / run_files.IDENTITY)
    protocol = identity.get("protocol", {})
    cycles = protocol.get("cycles", []) if isinstance(protocol, dict) else None
    valid = isinstance(cycles, list) and all(isinstance(cycle, dict) for cycle in cycles)
    return identity if valid else {}


def durations(outcome: Mapping[str, Any]) -> dict[str, float]:
    """Seconds of ``training`` and ``measuring`` in ``cell.json``; empty if absent or damaged."""
    seconds = outcome.get("seconds")
    if not isinstance(seconds, dict) or not {"training", "measuring"} <= seconds.keys():
        return {}
    valid = all(type(value) in (int, float) and 0 <= value < math.inf for value in seconds.values())
    return seconds if valid else {}


def _integer(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file; empty if the file is missing or damaged."""
    try:
        value = read_json(path)
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}

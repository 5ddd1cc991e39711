"""A study is a folder of runs: folds x seeds x protocols. What is there of each, and what is not.

``STUDY/finetune/fold<F>/seed<S>/<protocol>/``; runs validated on the test fold lie under
``fold<F>_validated_on_test``.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from liver_tf import run_files
from liver_tf.refusals import Refusal
from liver_tf.results.example_slices import ExampleSlice, load_examples
from liver_tf.results.stored_results import (
    LOOSE,
    RunResults,
    has_results,
    load_results,
    run_name,
)
from liver_tf.results.training_history import FinishedCycle, read_cycles
from liver_tf.run_files import INNER, TEST_FOLD

FINETUNE = "finetune"

#: Where ``trainers.reproduce`` notes what became of a cell: ``cells/fold<F>/<protocol>/seed<S>``.
CELLS, MEMO = "cells", "cell.json"

MEASURED = "measured"


@dataclass(frozen=True)
class StudyRun:
    """One run among those of a study.

    Attributes:
      run: its folder. name: among the others, e.g. ``fold0/seed0/hier_freeze``.
      protocol, fold, seed, validation: which cell it is.
      state: ``measured``, or in words what is missing.
      identity: ``run.json``; model: ``model.json``; empty where missing or unreadable.
      cycles: that are finished.
      results: of the test part, None unless measured.
      shown: worst, median and best slice by rank; empty where none were kept.
      wall_s: seconds of ``training`` and of ``measuring`` by the clock, if the study noted them.
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
    shown: Mapping[str, ExampleSlice] = field(default_factory=dict)
    wall_s: Mapping[str, float] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The protocol; of a run validated on the test fold with these words."""
        return self.protocol if self.validation == INNER else f"{self.protocol}, {LOOSE}"

    @property
    def seconds(self) -> float:
        """Of training, whether here or in the run that a cycle was copied from."""
        return sum(cycle.seconds for cycle in self.cycles)


def read_run(run: Path) -> StudyRun:
    """One run, wherever it lies. What cannot be read is told in ``state``, never raised."""
    identity, model = _json(run / run_files.IDENTITY), _json(run / run_files.DESCRIPTION)
    cycles = read_cycles(run)
    results, state = None, _state(run, identity, cycles)
    if has_results(run, "test"):
        try:
            results, state = load_results(run), MEASURED
        except Refusal as refusal:
            state = f"measures cannot be read ({refusal.code})"
    fold = str(identity.get("fold", "")) if results is None else results.fold
    seed = _whole(identity.get("seed")) if results is None else results.seed
    protocol = run.resolve().name if results is None else results.protocol
    validation = identity.get("validation", INNER) if results is None else results.validation
    return StudyRun(
        run=run,
        name=run_name(fold, seed, protocol, validation),
        protocol=protocol,
        fold=fold,
        seed=seed,
        validation=validation,
        state=state,
        identity=identity,
        model=model,
        cycles=cycles,
        results=results,
        shown={} if results is None else load_examples(run, results) or {},
    )


def read_study(study: Path, planned: Sequence[Path] = ()) -> tuple[StudyRun, ...]:
    """Every cell of a study in order; where a fold or seed lacks a protocol of another, so told.

    Args:
      planned: folders of runs, below ``study``, that belong to it even where nobody made them yet.

    Raises:
      Refusal: ``no-study`` where there is no run below ``study``, and none planned.
    """
    folders = sorted((study / FINETUNE).glob("*/seed*/*"))
    runs = [run for run in folders if run.is_dir() and not run.name.startswith(".")]
    if not runs and not planned:
        raise Refusal(
            "no-study",
            study,
            expected=f"a study's folder with runs below {FINETUNE}/fold<F>/seed<S>/<protocol>",
            found="none" if study.is_dir() else "no such folder",
            remedy="Run the study first, or name its folder.",
        )
    cells = {}
    for run in runs:
        cell = read_run(run)
        place = run.parents[1].name, run.parent.name, run.name
        if cell.results is None and not cell.identity:
            # Nothing in it tells which cell it is; its place does.
            cell = _absent(run, *place, cell.state)
        cells[place] = cell
    for run in planned:
        place = run.parents[1].name, run.parent.name, run.name
        cells.setdefault(place, _absent(run, *place, "not begun"))
    for loose in (False, True):
        own = [place for place in cells if place[0].endswith(run_files.VALIDATED_ON_TEST) is loose]
        for place in itertools.product(*({one[k] for one in own} for k in range(3))):
            run = study.joinpath(FINETUNE, *place)
            cells.setdefault(place, _absent(run, *place, "missing"))
    cells = {place: _as_noted(study, place, cell) for place, cell in cells.items()}
    return tuple(cells[place] for place in sorted(cells))


def measured(cells: Sequence[StudyRun]) -> list[RunResults]:
    """The results of those cells that have some."""
    return [cell.results for cell in cells if cell.results is not None]


def _as_noted(study: Path, place: tuple[str, str, str], cell: StudyRun) -> StudyRun:
    """A cell with what the study noted of it: that it failed, and how long it took."""
    fold, seed, protocol = place
    folder = Path(CELLS, fold, protocol, seed)
    memo = _json(study / folder / MEMO)
    seconds = memo.get("seconds") if isinstance(memo.get("seconds"), dict) else {}
    cell = replace(cell, wall_s={k: float(v) for k, v in seconds.items() if _is_number(v)})
    if memo.get("state") == "failed" and cell.results is None:
        log = f"; see {folder.as_posix()}/log.txt"
        return replace(cell, state=f"FAILED ({cell.state}){log}")
    return cell


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _absent(run: Path, fold: str, seed: str, protocol: str, state: str) -> StudyRun:
    loose = fold.endswith(run_files.VALIDATED_ON_TEST)
    fold = fold.removesuffix(run_files.VALIDATED_ON_TEST).removeprefix("fold")
    number = _whole(seed.removeprefix("seed"))
    validation = TEST_FOLD if loose else INNER
    name = run_name(fold, number, protocol, validation)
    return StudyRun(run, name, protocol, fold, number, validation, state)


def _state(run: Path, identity: Mapping[str, Any], cycles: Sequence[FinishedCycle]) -> str:
    if (run / run_files.WEIGHTS).is_file():
        return "trained, not measured"
    planned = identity.get("protocol", {}).get("cycles", ()) if identity else ()
    if planned:
        return f"training not finished: {len(cycles)} of {len(planned)} cycles"
    return "not begun"


def _whole(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}

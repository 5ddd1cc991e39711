"""Results of a transfer study: one scan, its parts, and the networks' Dice on its test slices.

``layout.json`` in the study's folder describes the parts: folds that split one patient by distance.
No result here is an estimate for other patients.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from liver_tf.atomic_files import write_json
from liver_tf.bounded_files import read_json
from liver_tf.results.run_results import RunResults
from liver_tf.results.stored_results import has_results, load_results
from liver_tf.results.study_inventory import FINETUNE

_LAYOUT = "layout.json"

#: Results of the network before fine-tuning, one folder for each end.
BEFORE = "phantom_only"


@dataclass(frozen=True)
class TransferFold:
    """A training set, its validation and its test slices; positions in mm, from feet to head.

    Attributes:
      end: end of the liver used for training, ``feet`` or ``head``.
      count: number of training slices.
      test_cases: pseudonyms of the test slices, in the order of ``test_mm``.
      validation_apart_mm: from training to the nearest validation slice.
      test_apart_mm: from training and validation to the nearest test slice.
    """

    end: str
    count: int
    training_mm: tuple[float, ...]
    validation_mm: tuple[float, ...]
    test_mm: tuple[float, ...]
    test_cases: tuple[str, ...]
    validation_apart_mm: float
    test_apart_mm: float


@dataclass(frozen=True)
class TransferResults:
    """Results of every network on every test slice.

    Attributes:
      folds: in the order of their numbers.
      runs: results by seed, for each (end, count, protocol).
      phantom_only: results of the network trained only on phantoms, by end.
    """

    folds: tuple[TransferFold, ...]
    runs: Mapping[tuple[str, int, str], Mapping[int, RunResults]]
    phantom_only: Mapping[str, RunResults]

    @property
    def ends(self) -> list[str]:
        """The ends at which networks were trained."""
        return list(dict.fromkeys(end for end, _, _ in self.runs))

    @property
    def counts(self) -> list[int]:
        """The sizes of the training sets."""
        return sorted({fold.count for fold in self.folds})

    @property
    def protocols(self) -> list[str]:
        return list(dict.fromkeys(protocol for _, _, protocol in self.runs))

    def by_seed(self, end: str, count: int, protocol: str) -> list[RunResults]:
        """Results in the order of their seeds; empty if there are none."""
        return [run for _, run in sorted(self.runs.get((end, count, protocol), {}).items())]


def slice_dice(run: RunResults) -> list[float]:
    """Dice of the liver in every test slice; all of them have liver."""
    return [result.liver.dice for result in run.results]


def volume_dice(run: RunResults) -> float:
    """Dice of all test slices together, as one volume."""
    both = sum(result.liver.both for result in run.results)
    return 2 * both / sum(result.liver.true + result.liver.predicted for result in run.results)


def surface_mm(run: RunResults) -> tuple[float | None, int]:
    """Mean surface distance over the slices that have one, and the number of slices without."""
    distances = [r.liver_surface.assd_mm for r in run.results if r.liver_surface is not None]
    return (float(np.mean(distances)) if distances else None), len(run.results) - len(distances)


def save_layout(study: Path, folds: list[TransferFold], caution: str) -> None:
    """Write ``layout.json``."""
    write_json(study / _LAYOUT, {"caution": caution, "folds": [asdict(fold) for fold in folds]})


def load_transfer(study: Path, protocols: list[str]) -> TransferResults:
    """Read all results in a study's folder, the protocols in the given order."""
    layout = read_json(study / _LAYOUT)
    folds = []
    for stored in layout["folds"]:
        values: Any = {key: tuple(v) if isinstance(v, list) else v for key, v in stored.items()}
        folds.append(TransferFold(**values))
    runs: dict[tuple[str, int, str], dict[int, RunResults]] = {}
    for protocol in protocols:
        for number, fold in enumerate(folds):
            for run in sorted((study / FINETUNE / f"fold{number}").glob(f"seed*/{protocol}")):
                if has_results(run, "test"):
                    results = load_results(run)
                    runs.setdefault((fold.end, fold.count, protocol), {})[results.seed] = results
    before = {fold.end: study / BEFORE / fold.end for fold in folds}
    evaluated = {end: load_results(run) for end, run in before.items() if has_results(run, "test")}
    return TransferResults(tuple(folds), runs, evaluated)

"""What a transfer study has measured: one scan, its parts, and networks on its test slices.

The parts are those of ``layout.json`` in the study's folder, which ``trainers.transfer_study``
writes: folds that divide one patient by distance. Nothing here is an estimate for other patients.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from liver_tf.atomic_files import write_json
from liver_tf.results.stored_results import RunResults, has_results, load_results

LAYOUT = "layout.json"
#: Where the network before any fine-tuning is measured, below the study's folder, end by end.
BEFORE = "phantom_only"


@dataclass(frozen=True)
class TransferFold:
    """One set of training slices, its validation and its test; places in mm along the scan.

    Attributes:
      end: of the liver that is trained on, ``feet`` or ``head``.
      count: of training slices.
      training_mm, validation_mm, test_mm: places of the slices, feet to head.
      test_cases: pseudonyms of the test slices, in the same order.
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
class TransferStudy:
    """Dice of every network on every test slice.

    Attributes:
      folds: by number.
      runs: by (end, count, protocol) the networks, by seed.
      phantom_only: by end the network that has seen phantoms alone.
    """

    folds: tuple[TransferFold, ...]
    runs: Mapping[tuple[str, int, str], Mapping[int, RunResults]]
    phantom_only: Mapping[str, RunResults]

    @property
    def ends(self) -> list[str]:
        """Those that networks were trained at."""
        return list(dict.fromkeys(end for end, _, _ in self.runs))

    @property
    def counts(self) -> list[int]:
        return sorted({fold.count for fold in self.folds})

    @property
    def protocols(self) -> list[str]:
        return list(dict.fromkeys(protocol for _, _, protocol in self.runs))

    def fold(self, end: str, count: int) -> TransferFold:
        return next(one for one in self.folds if (one.end, one.count) == (end, count))

    def dice(self, end: str, count: int, protocol: str) -> np.ndarray:
        """float [seeds, slices], slices feet to head; no seeds where none was measured."""
        own = self.runs.get((end, count, protocol), {})
        return np.array([slice_dice(run) for _, run in sorted(own.items())])


def slice_dice(run: RunResults) -> list[float]:
    """Dice of the liver in every test slice; they all have liver."""
    return [result.liver.dice for result in run.results]


def volume_dice(run: RunResults) -> float:
    """Dice of all test slices together, as one stretch of the scan."""
    both = sum(result.liver.both for result in run.results)
    return 2 * both / sum(result.liver.true + result.liver.predicted for result in run.results)


def surface_mm(run: RunResults) -> tuple[float | None, int]:
    """Mean distance of the outlines over the slices that have one, and how many have none."""
    distances = [r.liver_surface.assd_mm for r in run.results if r.liver_surface is not None]
    return (float(np.mean(distances)) if distances else None), len(run.results) - len(distances)


def save_layout(study: Path, folds: list[TransferFold], caution: str) -> None:
    """Write ``layout.json``."""
    write_json(study / LAYOUT, {"caution": caution, "folds": [asdict(fold) for fold in folds]})


def load_transfer(study: Path, protocols: list[str]) -> TransferStudy:
    """All that was measured in a study's folder, the protocols in the order given."""
    told = json.loads((study / LAYOUT).read_text(encoding="utf-8"))
    folds = tuple(
        TransferFold(**{k: tuple(v) if isinstance(v, list) else v for k, v in fold.items()})
        for fold in told["folds"]
    )
    runs: dict[tuple[str, int, str], dict[int, RunResults]] = {}
    for protocol in protocols:
        for number, fold in enumerate(folds):
            for run in sorted((study / "finetune" / f"fold{number}").glob(f"seed*/{protocol}")):
                if has_results(run, "test"):
                    found = load_results(run)
                    runs.setdefault((fold.end, fold.count, protocol), {})[found.seed] = found
    before = {}
    for end in dict.fromkeys(fold.end for fold in folds):
        run = study / BEFORE / end
        if has_results(run, "test"):
            before[end] = load_results(run)
    return TransferStudy(folds, runs, before)

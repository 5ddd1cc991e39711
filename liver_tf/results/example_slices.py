"""The worst, median and best test slice of a run, kept with its results for reports.

``RUN/measures/test_shown.npz`` holds their pixels, truth and prediction, cropped to the liver, so
that a report needs neither network nor records.
"""

import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from liver_tf import run_files
from liver_tf.atomic_files import atomic_write
from liver_tf.bounded_files import open_npz, parse_json
from liver_tf.measures.slice_result import SliceResult
from liver_tf.results.run_results import RunResults

#: Ranks in display order.
RANKS = ("worst", "median", "best")

#: Smallest margin around the liver.
MARGIN_MM = 15.0
_MARGIN_PIXELS = 20

_ARRAYS = ("hu", "truth", "predicted")


@dataclass(frozen=True)
class ExampleSlice:
    """One slice, cropped to a square around the liver of truth and prediction.

    ``hu``: int16 [rows, columns]; ``truth`` and ``predicted``: uint8 labels of the same shape;
    ``result``: of the complete slice.
    """

    hu: np.ndarray
    truth: np.ndarray
    predicted: np.ndarray
    spacing_mm: tuple[float, float] | None
    result: SliceResult


def pick_examples(results: Sequence[SliceResult]) -> dict[str, SliceResult]:
    """Worst, median and best of the slices with a lesion, by lesion Dice; empty without any.

    Among slices of the same Dice, the one with the larger lesion counts as worse, so that the
    largest missed lesion is shown. The median of an even number is the worse of the middle two.
    """
    ordered = sorted((r for r in results if r.has_lesion), key=worse_first)
    if not ordered:
        return {}
    places = (0, (len(ordered) - 1) // 2, len(ordered) - 1)
    return {rank: ordered[place] for rank, place in zip(RANKS, places, strict=True)}


def worse_first(result: SliceResult) -> tuple:
    """Sort key that orders slices with a lesion from worst to best."""
    return (result.dice, -result.lesion.true, result.image)


def crop_to_liver(
    hu: np.ndarray,
    truth: np.ndarray,
    predicted: np.ndarray,
    spacing_mm: tuple[float, float] | None,
    result: SliceResult,
) -> ExampleSlice:
    """Crop a slice to the liver; without liver in truth and prediction it is kept complete."""
    inside = np.argwhere((truth > 0) | (predicted > 0))
    box: tuple[slice, ...] = ()
    if len(inside):
        spacing = np.array(spacing_mm or (1.0, 1.0))
        margin = MARGIN_MM if spacing_mm else _MARGIN_PIXELS
        low, high = inside.min(axis=0), inside.max(axis=0) + 1
        # A square, so that the panels of a figure have the same shape.
        side = ((high - low) * spacing).max() + 2 * margin
        box = tuple(
            _window(first, last, round(side / mm), pixels)
            for first, last, mm, pixels in zip(low, high, spacing, hu.shape, strict=True)
        )
    return ExampleSlice(
        np.asarray(hu[box], np.int16),
        np.asarray(truth[box], np.uint8),
        np.asarray(predicted[box], np.uint8),
        spacing_mm,
        result,
    )


def _window(first: int, last: int, length: int, pixels: int) -> slice:
    """``length`` pixels centred on ``first`` to ``last``, shifted and clipped to the slice."""
    start = (int(first) + int(last) - length) // 2
    start = max(min(start, pixels - length), 0)
    return slice(start, min(start + length, pixels))


def save_examples(run: Path, results: RunResults, examples: Mapping[str, ExampleSlice]) -> None:
    """Write the examples, given by rank, atomically."""
    facts = {
        "made_of": dict(results.made_of),
        "slices": {
            rank: {"image": list(example.result.image), "spacing_mm": example.spacing_mm}
            for rank, example in examples.items()
        },
    }
    arrays = {
        f"{rank}_{name}": getattr(example, name)
        for rank, example in examples.items()
        for name in _ARRAYS
    }
    with (
        atomic_write(run_files.shown_slices_file(run, results.part)) as temporary,
        open(temporary, "wb") as file,
    ):
        np.savez_compressed(file, facts=np.array(json.dumps(facts)), **arrays)


def load_examples(run: Path, results: RunResults) -> dict[str, ExampleSlice] | None:
    """The examples by rank; None if there are none or they belong to different results."""
    path = run_files.shown_slices_file(run, results.part)
    by_image = {r.image: r for r in results.results}
    try:
        with open_npz(path) as stored:
            facts = parse_json(str(stored["facts"]))
            if facts["made_of"] != dict(results.made_of):
                return None
            return {
                rank: ExampleSlice(
                    hu=stored[f"{rank}_hu"],
                    truth=stored[f"{rank}_truth"],
                    predicted=stored[f"{rank}_predicted"],
                    spacing_mm=tuple(fact["spacing_mm"]) if fact["spacing_mm"] else None,
                    result=by_image[tuple(fact["image"])],
                )
                for rank, fact in facts["slices"].items()
            }
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error):
        # The figures of a report do not depend on its pictures.
        return None

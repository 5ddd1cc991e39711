"""Sheets of outlined slices: of every protocol the worst, the median and the best of all runs."""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from liver_tf import run_files
from liver_tf.labels import HEALTHY, LabelSet
from liver_tf.measures.slice_result import SliceResult
from liver_tf.report.overlays.draw_overlays import Panel, draw_sheet
from liver_tf.report.page.page_parts import Picture
from liver_tf.results.example_slices import RANKS, ExampleSlice, worse_first
from liver_tf.results.stored_results import LOOSE
from liver_tf.results.study_inventory import StudyRun


def draw_example_sheets(cells: Sequence[StudyRun], folder: Path) -> list[Picture]:
    """One PNG per protocol into ``folder``; none for a protocol whose runs kept no slices.

    Worst and best are those of all runs together. Every run has kept its own median alone, so the
    median shown is the kept slice whose Dice lies nearest to the median of all; its caption gives
    both.
    """
    by_title: dict[str, list[StudyRun]] = {}
    for cell in cells:
        if cell.results is not None and cell.shown:
            by_title.setdefault(cell.title, []).append(cell)
    pictures = []
    for title, own in by_title.items():
        every = [r for c in cells if c.title == title and c.results for r in c.results.results]
        dice = [r.dice for r in every if r.has_lesion]
        middle = statistics.median(dice)
        chosen = _chosen(own, middle)
        label_set = own[0].results.label_set
        panels = [_panel(rank, *chosen[rank], label_set) for rank in RANKS]
        path = draw_sheet(panels, folder / _file_name(title, pictures))
        caption = (
            f"{title}: worst, median and best of {len(dice)} slices with a lesion "
            f"(once for each network), median Dice {middle:.2f}"
        )
        pictures.append(Picture(path, caption))
    return pictures


def _chosen(
    cells: Sequence[StudyRun], middle: float
) -> Mapping[str, tuple[StudyRun, ExampleSlice]]:
    worst, median, best = ([(cell, cell.shown[rank]) for cell in cells] for rank in RANKS)
    # Of slices equally near the median one that a run kept as its median comes first.
    every = [*median, *worst, *best]
    return {
        "worst": min(worst, key=lambda pair: worse_first(pair[1].result)),
        "median": min(every, key=lambda pair: abs(pair[1].result.dice - middle)),
        "best": max(best, key=lambda pair: worse_first(pair[1].result)),
    }


def _panel(rank: str, cell: StudyRun, shown: ExampleSlice, label_set: LabelSet) -> Panel:
    result = shown.result
    return Panel(
        hu=shown.hu,
        truth=shown.truth,
        predicted=shown.predicted,
        label_set=label_set,
        title=f"{rank}: {_words(result, label_set)}\nlesion Dice {result.dice:.2f}; "
        f"{cell.name.rsplit('/', 1)[0]}",
        spacing_mm=shown.spacing_mm,
    )


def _words(result: SliceResult, label_set: LabelSet) -> str:
    names = label_set.classes
    true = HEALTHY if result.true_diagnosis is None else names[result.true_diagnosis]
    found = "nothing" if result.predicted_diagnosis is None else names[result.predicted_diagnosis]
    return f"{true}, found {found}"


def _file_name(title: str, before: Sequence[Picture]) -> str:
    """A name that any file system takes, and that no sheet before has."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", title.replace(f", {LOOSE}", run_files.VALIDATED_ON_TEST))
    taken = {picture.path.name for picture in before}
    while f"{name}.png" in taken:
        name = f"{name}_"
    return f"{name}.png"

"""Sheets of outlined slices: the worst, median and best of all runs of each protocol."""

import re
import statistics
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

from liver_tf import run_files
from liver_tf.labels import LabelSet
from liver_tf.report.overlays.draw_overlays import Panel, draw_sheet
from liver_tf.report.page.page_parts import Picture
from liver_tf.results.example_slices import RANKS, ExampleSlice, worse_first
from liver_tf.results.run_results import LOOSE
from liver_tf.results.study_inventory import StudyRun


def draw_example_sheets(runs: Sequence[StudyRun], folder: Path) -> list[Picture]:
    """Write one PNG per protocol into ``folder``, except for protocols without example slices.

    Worst and best are those of all runs together. A run keeps only its own median slice, so the
    median shown is the kept slice whose Dice is closest to the median over all slices; the caption
    gives both.
    """
    by_title: dict[str, list[StudyRun]] = {}
    for run in runs:
        if run.results is not None and run.examples:
            by_title.setdefault(run.title, []).append(run)
    pictures: list[Picture] = []
    for title, pooled in by_title.items():
        results = [run.results.results for run in runs if run.title == title and run.results]
        dice = [r.dice for r in chain.from_iterable(results) if r.has_lesion]
        median = statistics.median(dice)
        chosen = _choose(pooled, median)
        label_set = pooled[0].results.label_set
        panels = [_panel(rank, *chosen[rank], label_set) for rank in RANKS]
        path = draw_sheet(panels, folder / _file_name(title, pictures))
        caption = (
            f"{title}: worst, median and best of {len(dice)} slices with a lesion (counted once "
            f"for each network), median Dice {median:.2f}"
        )
        pictures.append(Picture(path, caption))
    return pictures


def _choose(runs: Sequence[StudyRun], median: float) -> Mapping[str, tuple[StudyRun, ExampleSlice]]:
    worst, middle, best = ([(run, run.examples[rank]) for run in runs] for rank in RANKS)
    # Among equally close slices, those kept as a run's median come first.
    candidates = [*middle, *worst, *best]
    return {
        "worst": min(worst, key=lambda pair: worse_first(pair[1].result)),
        "median": min(candidates, key=lambda pair: abs(pair[1].result.dice - median)),
        "best": max(best, key=lambda pair: worse_first(pair[1].result)),
    }


def _panel(rank: str, run: StudyRun, example: ExampleSlice, label_set: LabelSet) -> Panel:
    result = example.result
    true = label_set.classes[result.true_diagnosis]
    predicted = "nothing"
    if result.predicted_diagnosis is not None:
        predicted = label_set.classes[result.predicted_diagnosis]
    network = run.name.rsplit("/", 1)[0]
    title = f"{rank}: {true}, predicted {predicted}\nlesion Dice {result.dice:.2f}; {network}"
    pixels = (example.hu, example.truth, example.predicted)
    return Panel(*pixels, label_set, title, example.spacing_mm)


def _file_name(title: str, before: Sequence[Picture]) -> str:
    """A portable file name that no earlier sheet has."""
    title = title.replace(f", {LOOSE}", run_files.VALIDATED_ON_TEST)
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", title)
    taken = {picture.path.name for picture in before}
    while f"{name}.png" in taken:
        name = f"{name}_"
    return f"{name}.png"

"""Overlays of a transfer study: worst, median and best test slice of some networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from liver_tf import run_files
from liver_tf.assessment.evaluate import map_name
from liver_tf.labels import LIVER, LIVER_ONLY
from liver_tf.records.manifest import Manifest
from liver_tf.records.shards import read_case
from liver_tf.report.overlays.draw_overlays import Panel, draw_sheet
from liver_tf.results.example_slices import RANKS
from liver_tf.results.stored_results import RunResults
from liver_tf.studies.transfer.transfer_results import BEFORE, TransferStudy, slice_dice
from liver_tf.studies.transfer.transfer_summary import PHANTOM_ONLY

#: From scratch, pre-trained, and one of the paper's orders of freezing.
SHOWN = ("baseline_long", "no_freezing", "hier_unfreeze")

#: Below lies air; the window of the records ends a little lower.
_AIR_HU = -150


def draw_overlays(
    folder: Path,
    study: TransferStudy,
    records: Path,
    manifest: Manifest,
    end: str,
    count: int,
    path: Path,
) -> Path | None:
    """Write a sheet: a row per network, its worst, median and best slice by Dice.

    Of each protocol the network with the median mean Dice is shown, of an even number the worse.
    None where nothing was measured.
    """
    panels: list[Panel] = []
    if end in study.phantom_only:
        run = study.phantom_only[end]
        panels += _row(folder / BEFORE / end, run, PHANTOM_ONLY, records, manifest)
    number = study.folds.index(study.fold(end, count))
    for protocol in SHOWN:
        own = sorted(
            study.runs.get((end, count, protocol), {}).values(),
            key=lambda run: (np.mean(slice_dice(run)), run.seed),
        )
        if own:
            run = own[(len(own) - 1) // 2]
            place = run_files.run_folder(folder / "finetune", f"fold{number}", run.seed, protocol)
            panels += _row(place, run, f"{protocol}, {count} slices", records, manifest)
    return draw_sheet(_cut_to_body(panels), path, columns=len(RANKS)) if panels else None


def _cut_to_body(panels: Sequence[Panel]) -> list[Panel]:
    """All cut to one box, that of the body in any of them, so that they compare at a glance."""
    shown = np.any([panel.hu > _AIR_HU for panel in panels], axis=0)
    box = tuple(
        slice(places[0], places[-1] + 1)
        for places in (np.flatnonzero(shown.any(axis=axis)) for axis in (1, 0))
    )
    return [
        replace(one, hu=one.hu[box], truth=one.truth[box], predicted=one.predicted[box])
        for one in panels
    ]


def _row(
    place: Path, run: RunResults, name: str, records: Path, manifest: Manifest
) -> Sequence[Panel]:
    entries = {entry.case: entry for entry in manifest.cases}
    ordered = sorted(run.results, key=lambda result: result.liver.dice)
    chosen = (ordered[0], ordered[(len(ordered) - 1) // 2], ordered[-1])
    panels = []
    for rank, result in zip(RANKS, chosen, strict=True):
        (record,) = read_case(records, entries[result.case])
        with np.load(run_files.label_maps_file(place, run.part)) as maps:
            predicted = maps[map_name(result.case, result.slice_index)]
        truth = (record.labels >= LIVER).astype(np.uint8)
        title = f"{name}: {rank}, Dice {result.liver.dice:.2f}"
        panels.append(Panel(record.image, truth, predicted, LIVER_ONLY, title, record.spacing_mm))
    return panels

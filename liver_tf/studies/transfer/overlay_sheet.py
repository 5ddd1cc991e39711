"""Overlays of a transfer study: worst, median and best test slice of some networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from liver_tf import run_files
from liver_tf.assessment.label_maps import map_name
from liver_tf.atomic_files import atomic_write
from liver_tf.labels import LIVER, LIVER_ONLY
from liver_tf.records.manifest import Manifest
from liver_tf.records.shard_reader import read_case
from liver_tf.report.overlays.draw_overlays import Panel, draw_sheet
from liver_tf.results.example_slices import RANKS
from liver_tf.results.stored_results import RunResults
from liver_tf.results.study_inventory import FINETUNE
from liver_tf.studies.transfer.claims import PHANTOM_ONLY
from liver_tf.studies.transfer.transfer_results import BEFORE, TransferResults, slice_dice

#: From scratch, pre-trained, and one of the paper's orders of freezing.
SHOWN = ("baseline_long", "no_freezing", "hier_unfreeze")

#: Darker pixels are air around the body; slightly above the lower end of the records' window.
_AIR_HU = -150

#: Width of the sheet in pixels.
_WIDTH = 1300


def draw_overlays(
    study: Path,
    results: TransferResults,
    records: Path,
    manifest: Manifest,
    end: str,
    count: int,
    path: Path,
) -> Path | None:
    """Write a PNG with one row for each network: its worst, median and best slice by Dice.

    The network of a protocol is the seed with the median mean Dice, or the lower of two.

    Args:
      study: its folder, with the networks' label maps.
      results: of the study.
      records, manifest: record set of the slices.
      end, count: the fold whose networks are shown.
      path: where the PNG goes.

    Returns:
      ``path``, or None if there are no results.
    """
    panels: list[Panel] = []
    if end in results.phantom_only:
        run = results.phantom_only[end]
        panels += _row(study / BEFORE / end, run, PHANTOM_ONLY, records, manifest)
    fold = results.folds.index(results.fold(end, count))
    for protocol in SHOWN:
        runs = sorted(
            results.by_seed(end, count, protocol),
            key=lambda run: (np.mean(slice_dice(run)), run.seed),
        )
        if runs:
            run = runs[(len(runs) - 1) // 2]
            folder = run_files.run_folder(study / FINETUNE, f"fold{fold}", run.seed, protocol)
            panels += _row(folder, run, f"{protocol}, {count} slices", records, manifest)
    if not panels:
        return None
    draw_sheet(_crop_to_body(panels), path, columns=len(RANKS))
    _shrink(path)
    return path


def _crop_to_body(panels: Sequence[Panel]) -> list[Panel]:
    """Crop all panels to one box, that of the body in any of them, so that they compare easily."""
    body = np.any([panel.hu > _AIR_HU for panel in panels], axis=0)
    box = tuple(
        slice(places[0], places[-1] + 1)
        for places in (np.flatnonzero(body.any(axis=axis)) for axis in (1, 0))
    )
    return [
        replace(panel, hu=panel.hu[box], truth=panel.truth[box], predicted=panel.predicted[box])
        for panel in panels
    ]


def _shrink(path: Path) -> None:
    """Reduce the PNG to a third of its bytes: CT noise at full resolution hardly compresses."""
    with Image.open(path) as image:
        size = _WIDTH, round(image.height * _WIDTH / image.width)
        small = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    with atomic_write(path) as temporary:
        # The few coloured pixels of the outlines keep their colour with this method.
        method = Image.Quantize.MAXCOVERAGE
        small.quantize(256, method, dither=Image.Dither.NONE).save(temporary, "PNG", optimize=True)


def _row(
    folder: Path, run: RunResults, name: str, records: Path, manifest: Manifest
) -> Sequence[Panel]:
    entries = {entry.case: entry for entry in manifest.cases}
    ordered = sorted(run.results, key=lambda result: result.liver.dice)
    examples = (ordered[0], ordered[(len(ordered) - 1) // 2], ordered[-1])
    panels = []
    for rank, result in zip(RANKS, examples, strict=True):
        (record,) = read_case(records, entries[result.case])
        with np.load(run_files.label_maps_file(folder, run.part)) as maps:
            predicted = maps[map_name(result.case, result.slice_index)]
        truth = (record.labels >= LIVER).astype(np.uint8)
        title = f"{name}: {rank}, Dice {result.liver.dice:.2f}"
        panels.append(Panel(record.image, truth, predicted, LIVER_ONLY, title, record.spacing_mm))
    return panels

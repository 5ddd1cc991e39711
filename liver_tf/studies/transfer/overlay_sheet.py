"""Overlays of a transfer study: worst, median and best test slice of some networks."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from liver_tf import run_files
from liver_tf.assessment.label_maps import map_name
from liver_tf.atomic_files import atomic_write
from liver_tf.bounded_files import open_npz
from liver_tf.labels import LIVER, LIVER_ONLY
from liver_tf.records.manifest import Manifest
from liver_tf.records.shard_reader import read_case
from liver_tf.report.overlays.draw_overlays import Panel, draw_sheet
from liver_tf.results.example_slices import RANKS
from liver_tf.results.run_results import RunResults
from liver_tf.results.study_inventory import FINETUNE
from liver_tf.studies.transfer.claims import PHANTOM_ONLY
from liver_tf.studies.transfer.transfer_results import BEFORE, TransferResults, slice_dice

#: From scratch, pre-trained, and one of the paper's hierarchical protocols.
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

    Shows the networks of one fold (``end``, ``count``). Of the seeds of a protocol, the one with
    the median mean Dice is shown, or the lower of two.

    Returns:
      ``path``, or None if there are no results.
    """
    rows: list[tuple[Path, RunResults, str]] = []
    if end in results.phantom_only:
        rows.append((study / BEFORE / end, results.phantom_only[end], PHANTOM_ONLY))
    fold = [(fold.end, fold.count) for fold in results.folds].index((end, count))
    for protocol in SHOWN:
        runs = results.by_seed(end, count, protocol)
        runs.sort(key=_mean_dice_and_seed)
        if runs:
            run = runs[(len(runs) - 1) // 2]
            folder = run_files.run_folder(study / FINETUNE, f"fold{fold}", run.seed, protocol)
            rows.append((folder, run, f"{protocol}, {count} slices"))
    if not rows:
        return None
    panels = [panel for row in rows for panel in _panels(*row, records, manifest)]
    draw_sheet(_crop_to_body(panels), path, columns=len(RANKS))
    _shrink(path)
    return path


def _mean_dice_and_seed(run: RunResults) -> tuple[float, int]:
    return float(np.mean(slice_dice(run))), run.seed


def _panels(
    folder: Path, run: RunResults, name: str, records: Path, manifest: Manifest
) -> list[Panel]:
    entries = {entry.case: entry for entry in manifest.cases}
    ordered = sorted(run.results, key=lambda result: result.liver.dice)
    examples = (ordered[0], ordered[(len(ordered) - 1) // 2], ordered[-1])
    panels = []
    for rank, result in zip(RANKS, examples, strict=True):
        (record,) = read_case(records, entries[result.case])
        with open_npz(run_files.label_maps_file(folder, run.part)) as maps:
            predicted = maps[map_name(result.case, result.slice_index)]
        truth = (record.labels >= LIVER).astype(np.uint8)
        title = f"{name}: {rank}, Dice {result.liver.dice:.2f}"
        panels.append(Panel(record.image, truth, predicted, LIVER_ONLY, title, record.spacing_mm))
    return panels


def _crop_to_body(panels: Sequence[Panel]) -> list[Panel]:
    """Crop all panels to the same box, around the body in any of them."""
    body = np.any([panel.hu > _AIR_HU for panel in panels], axis=0)
    rows, columns = (np.flatnonzero(body.any(axis=axis)) for axis in (1, 0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
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
        # This method keeps the colours of the outlines, which are few pixels.
        method = Image.Quantize.MAXCOVERAGE
        small.quantize(256, method, dither=Image.Dither.NONE).save(temporary, "PNG", optimize=True)

"""What a report shows beside the figures: pictures, histories, and how the figures came about."""

from __future__ import annotations

import csv
import json
import platform
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from liver_tf import __version__
from liver_tf.evaluation.bootstrap import Interval
from liver_tf.evaluation.image_result import ImageResult
from liver_tf.evaluation.overlays import Panel, draw_sheet
from liver_tf.evaluation.paper_table import format_interval
from liver_tf.evaluation.report import Picture
from liver_tf.inference import postprocessing
from liver_tf.model.description import load_description
from liver_tf.records.folds import INNER, TEST_FOLD
from liver_tf.records.manifest import load_manifest
from liver_tf.records.shards import read_case
from trainers.measuring import Measured, label_maps, map_name


def draw_sheets(measured: list[Measured], folder: Path) -> list[Picture]:
    """For each protocol one sheet of the worst, median and best slices with lesions by Dice."""
    by_protocol: dict[str, list[tuple[Measured, ImageResult]]] = {}
    for one in measured:
        with_lesion = [(one, result) for result in one.results if result.has_lesion]
        by_protocol.setdefault(one.stored.protocol, []).extend(with_lesion)
    pictures = []
    for name, slices in by_protocol.items():
        if not slices:
            continue
        ranked = sorted(range(len(slices)), key=lambda place: slices[place][1].dice)
        middle = len(ranked) // 2
        chosen = [*ranked[:2], *ranked[max(middle - 1, 0) : middle + 1], *ranked[-2:]]
        panels = [_panel(*slices[place]) for place in dict.fromkeys(chosen)]
        path = draw_sheet(panels, folder / f"{name}.png")
        pictures.append(Picture(path, f"{name}: worst, median and best slices by Dice"))
    return pictures


def _panel(one: Measured, result: ImageResult) -> Panel:
    manifest = load_manifest(one.records)
    entry = next(entry for entry in manifest.cases if entry.case == result.case)
    records = read_case(one.records, entry)
    record = next(record for record in records if record.slice_index == result.slice_index)
    with np.load(label_maps(one.run, one.stored.part)) as maps:
        predicted = maps[map_name(result.case, result.slice_index)]
    names = one.stored.label_set.classes
    found = "nothing" if result.predicted_diagnosis is None else names[result.predicted_diagnosis]
    return Panel(
        hu=record.image,
        truth=record.labels,
        predicted=predicted,
        label_set=one.stored.label_set,
        title=f"{record.diagnosis}, found {found}, Dice {result.dice:.2f}",
        spacing_mm=record.spacing_mm,
    )


def healthy_text(measured: Mapping[str, Mapping[str, Interval]]) -> str:
    """Lines on healthy slices, without which Success cannot be judged."""
    lines = ["", "healthy slices with a lesion reported (where all are, Success says little):"]
    for name, own in measured.items():
        lines.append(f"  {name}: {format_interval(own.get('healthy_false_positive_rate'))}")
    return "\n".join(lines) + "\n"


def histories(run: Path) -> list[list[dict[str, float]]]:
    """The history of every cycle of a run, a row per epoch."""
    cycles = []
    paths = run.glob("cycle*/history.csv")
    for path in sorted(paths, key=lambda path: int(path.parent.name.removeprefix("cycle"))):
        with open(path, newline="", encoding="utf-8") as file:
            rows = [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]
        cycles.append(rows)
    return cycles


def all_histories(measured: list[Measured]) -> dict[str, list[list[dict[str, float]]]]:
    """The histories of all runs, by protocol; by fold and seed too where a protocol has several."""
    protocols = [one.stored.protocol for one in measured]
    return {
        name if protocols.count(name) == 1 else one.stored.cell: histories(one.run)
        for name, one in zip(protocols, measured, strict=True)
    }


def facts(
    runs: list[Path], liver_run: Path, records: Path, *, use_chosen: bool = True
) -> dict[str, str]:
    """What a reviewer must know of how the figures came about."""
    import keras
    import tensorflow as tf

    identities = [json.loads((run / "run.json").read_text(encoding="utf-8")) for run in runs]
    liver = load_description(liver_run)
    return {
        "records": load_manifest(records).fingerprint,
        "liver network trained on": liver.data_fingerprint,
        "folds": ", ".join(sorted({str(one["fold"]) for one in identities})),
        "seeds": ", ".join(sorted({str(one["seed"]) for one in identities})),
        "network": "; ".join(sorted({_size(one) for one in identities})),
        "cycles": "; ".join(
            dict.fromkeys(_cycles(run, one) for run, one in zip(runs, identities, strict=True))
        ),
        "post-processing": "; ".join(
            f"{run.resolve().name}: {postprocessing.load(run).text() if use_chosen else 'none'}"
            for run in runs
        ),
        "early stopping": _early_stopping(identities),
        "versions": f"liver_tf {__version__}, TensorFlow {tf.__version__}, Keras "
        f"{keras.__version__}, Python {platform.python_version()}",
    }


def temperatures(measured: list[Measured]) -> str:
    """The temperature of every run, and what it was fitted on."""
    parts = []
    for one in measured:
        found = one.stored.temperature
        if found is None:
            parts.append(f"{one.stored.cell}: none, no validation slice to fit it on")
        else:
            bound = ", the end of what was sought" if found.at_bound else ""
            parts.append(
                f"{one.stored.cell}: {found.value:.2f}{bound}, fitted on {found.slices} slices of "
                f"the {found.fitted_on} patients"
            )
    return "; ".join(parts)


def _early_stopping(identities: list[dict]) -> str:
    ways = {identity.get("validation", INNER) for identity in identities}
    if ways == {INNER}:
        return "on the inner validation patients; the test patients took no part"
    some = "" if ways == {TEST_FOLD} else ", in some of the runs"
    return f"ON THE TEST FOLD ITSELF{some}: the figures are optimistic"


def _size(identity: dict) -> str:
    shape = identity["architecture"]
    return f"{shape['image_size']} x {shape['image_size']} pixels, {shape['base_filters']} filters"


def _cycles(run: Path, identity: dict) -> str:
    protocol = identity["protocol"]
    first = protocol["cycles"][0]
    trained = sum(len(history) for history in histories(run))
    return (
        f"{protocol['name']}: {len(protocol['cycles'])} cycle(s), {trained} epochs trained in all, "
        f"at most {first['epochs']} a cycle, rate {first['learning_rate']:g}, "
        f"batch {first['batch_size']}"
    )

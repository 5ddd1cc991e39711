"""Runs to results: predict the test slices of a fold through the cascade and measure them."""

from __future__ import annotations

import csv
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from liver_tf import __version__
from liver_tf.evaluation.bootstrap import Interval
from liver_tf.evaluation.measures import ImageResult, measure_image
from liver_tf.evaluation.overlays import Panel, draw_sheet
from liver_tf.evaluation.paper_table import format_interval
from liver_tf.evaluation.report import Picture
from liver_tf.inference import postprocessing
from liver_tf.inference.cascade import Cascade
from liver_tf.inference.liver_finder import LiverFinder
from liver_tf.inference.network import Network
from liver_tf.labels import LabelSet
from liver_tf.model.description import Description, load_description
from liver_tf.records.manifest import Manifest, load_manifest
from liver_tf.records.schema import SliceRecord
from liver_tf.records.shards import check_shards, read_case
from liver_tf.refusals import Refusal


@dataclass(frozen=True)
class Measured:
    """A run's test slices: what was true, what was predicted, and the results, slice by slice."""

    records: list[SliceRecord]
    predictions: list[np.ndarray]
    results: list[ImageResult]
    label_set: LabelSet


def measure_runs(
    runs: list[Path],
    liver_run: Path,
    records: Path,
    part: str = "test",
    *,
    use_chosen: bool = True,
) -> dict[str, Measured]:
    """Measure every run on its own test patients, by the name of its folder.

    ``part="validation"`` takes the validation patients instead: choices are made on them, so that
    the test patients are looked at once. ``use_chosen``: with the post-processing that was chosen
    for each run, if any. Raises ``Refusal`` where a run is not finished or was
    trained on ROIs of other records.
    """
    manifest = load_manifest(records)
    finder = LiverFinder.of_run(liver_run)
    measured = {}
    for run in runs:
        cases = cases_of_part(run, manifest, part)
        check_shards(records, manifest, cases)
        how = postprocessing.load(run) if use_chosen else postprocessing.NOTHING
        cascade = Cascade(finder, Network.of_run(run, "lesion"), how=how)
        name = run.resolve().name
        measured[name] = _measure(cascade, manifest, records, cases, name)
    return measured


def _refuse_other_meaning(description: Description, manifest: Manifest, run: Path) -> None:
    """Refuse records whose labels or pixels mean something else than those trained on."""
    ours, theirs = description.label_set.classes, manifest.label_set.classes
    if ours != theirs:
        raise Refusal(
            "label-set-differs",
            run,
            expected=f"records with the run's classes, {', '.join(ours)}",
            came=f"records with {', '.join(theirs)}",
            remedy="Name the records of the run with --records.",
        )
    if tuple(description.window) != tuple(manifest.window):
        raise Refusal(
            "window-differs",
            run,
            expected=f"records with the run's window {list(description.window)} HU",
            came=f"{list(manifest.window)} HU",
            remedy="Name the records of the run with --records.",
        )


def cases_of_part(run: Path, manifest: Manifest, part: str) -> list[str]:
    """The cases of a run's ``test`` or ``validation`` part.

    Raises ``Refusal``: ``label-set-differs``, ``window-differs``, ``other-records``,
    ``no-patients``.
    """
    description = load_description(run)
    _refuse_other_meaning(description, manifest, run)
    came_from = (description.roi or {}).get("source_fingerprint")
    if came_from != manifest.fingerprint:
        raise Refusal(
            "other-records",
            run,
            expected="the records from which the run's ROIs were cut",
            came=f"fingerprint {manifest.fingerprint[:16]}, not {str(came_from)[:16]}",
            remedy="Name them with --records.",
        )
    identity = json.loads((run / "run.json").read_text(encoding="utf-8"))
    if not identity["split"][part]:
        raise Refusal(
            "no-patients",
            run,
            expected=f"a run that left patients for its {part} part",
            came="none: it was trained without folds",
            remedy="Fine-tune with --folds_file to have patients left for the test.",
        )
    return identity["split"][part]


def _measure(
    cascade: Cascade, manifest: Manifest, folder: Path, cases: list[str], name: str
) -> Measured:
    wanted = set(cases)
    entries = [entry for entry in manifest.cases if entry.case in wanted]
    records, predictions, results = [], [], []
    for entry in tqdm(entries, desc=f"measure {name}", unit="patient"):
        of_patient = list(read_case(folder, entry))
        for record, labels in zip(of_patient, _predict_each(cascade, of_patient), strict=True):
            records.append(record)
            predictions.append(labels)
            results.append(
                measure_image(
                    record.labels,
                    labels,
                    cascade.label_set,
                    patient=record.patient,
                    case=record.case,
                    slice_index=record.slice_index,
                    true_diagnosis=record.diagnosis or None,
                )
            )
    return Measured(records, predictions, results, cascade.label_set)


def _predict_each(cascade: Cascade, records: list[SliceRecord]) -> list[np.ndarray]:
    """Label maps of slices, each by itself; those of one shape go through together."""
    predicted: list[np.ndarray | None] = [None] * len(records)
    for shape in {record.image.shape for record in records}:
        places = [place for place, record in enumerate(records) if record.image.shape == shape]
        spacings = [records[place].spacing_mm or (np.nan, np.nan) for place in places]
        maps = cascade.predict_slices(
            np.stack([records[place].image for place in places]), np.float32(spacings)
        )
        for place, labels in zip(places, maps, strict=True):
            predicted[place] = labels
    return predicted


def draw_sheets(measured: dict[str, Measured], folder: Path) -> list[Picture]:
    """For each run one sheet of the worst, median and best slices with lesions by Dice."""
    pictures = []
    for name, one in measured.items():
        with_lesion = [i for i, result in enumerate(one.results) if result.has_lesion]
        if not with_lesion:
            continue
        ranked = sorted(with_lesion, key=lambda i: one.results[i].dice)
        middle = len(ranked) // 2
        chosen = [*ranked[:2], *ranked[max(middle - 1, 0) : middle + 1], *ranked[-2:]]
        panels = [_panel(one, index) for index in dict.fromkeys(chosen)]
        path = draw_sheet(panels, folder / f"{name}.png")
        pictures.append(Picture(path, f"{name}: worst, median and best slices by Dice"))
    return pictures


def _panel(one: Measured, index: int) -> Panel:
    record, result = one.records[index], one.results[index]
    names = one.label_set.classes
    found = "nothing" if result.predicted_diagnosis is None else names[result.predicted_diagnosis]
    return Panel(
        hu=record.image,
        truth=record.labels,
        predicted=one.predictions[index],
        label_set=one.label_set,
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
        "cycles": "; ".join(_cycles(run, one) for run, one in zip(runs, identities, strict=True)),
        "post-processing": "; ".join(
            f"{run.resolve().name}: {postprocessing.load(run).text() if use_chosen else 'none'}"
            for run in runs
        ),
        "early stopping": "on the inner validation patients; the test patients took no part",
        "versions": f"liver_tf {__version__}, TensorFlow {tf.__version__}, Keras "
        f"{keras.__version__}, Python {platform.python_version()}",
    }


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

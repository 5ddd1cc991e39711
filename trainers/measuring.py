"""Runs to results: predict the test slices of a fold through the cascade and measure them."""

from __future__ import annotations

import csv
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from tqdm import tqdm

from liver_tf import __version__
from liver_tf.atomic_files import written_whole
from liver_tf.evaluation.bootstrap import Interval
from liver_tf.evaluation.calibration import Temperature, fit_temperature
from liver_tf.evaluation.image_result import ImageResult
from liver_tf.evaluation.measure_image import measure_image
from liver_tf.evaluation.overlays import Panel, draw_sheet
from liver_tf.evaluation.paper_table import format_interval
from liver_tf.evaluation.report import Picture
from liver_tf.evaluation.stored_results import (
    FOLDER,
    RunResults,
    has_results,
    load_results,
)
from liver_tf.inference.cascade import Cascade, LiverFinder
from liver_tf.inference.network import Network
from liver_tf.model.description import WEIGHTS, Description, load_description
from liver_tf.model.weights_file import stored_hash
from liver_tf.records.folds import INNER, TEST_FOLD
from liver_tf.records.manifest import Manifest, load_manifest
from liver_tf.records.shards import check_shards, read_case
from liver_tf.refusals import Refusal
from trainers.scored_slices import ScoredSlices


@dataclass(frozen=True)
class Measured:
    """A run that was measured on a part of its fold.

    ``stored`` are the figures; the label maps lie beside them in the run's folder.
    """

    run: Path
    records: Path
    stored: RunResults

    @property
    def results(self) -> tuple[ImageResult, ...]:
        """A row per slice."""
        return self.stored.results


def measure_runs(
    runs: list[Path], liver_run: Path, records: Path, part: str = "test"
) -> list[Measured]:
    """Measure every run on its own test patients, or take what was measured before.

    First the validation patients are measured and the temperature of the type scores is fitted on
    them; only then are those of the test read, once. ``part="validation"`` stops before: choices
    are made there. Everything is kept in the run's folder under ``measures/`` with what it hangs
    on (records, weights, program), and measured again only where that has changed.

    Raises ``Refusal`` where a run is not finished or was trained on ROIs of other records.
    """
    manifest = load_manifest(records)
    sources = _Sources(liver_run, records, manifest)
    return [Measured(run, records, _of_run(run, sources, part)) for run in runs]


@dataclass(frozen=True)
class _Sources:
    """What all runs are measured with; networks are loaded when first needed."""

    liver_run: Path
    records: Path
    manifest: Manifest

    @cached_property
    def finder(self) -> LiverFinder:
        return LiverFinder.of_run(self.liver_run)

    @cached_property
    def liver_hash(self) -> str:
        load_description(self.liver_run)
        return stored_hash(self.liver_run / WEIGHTS)

    def made_of(self, run: Path) -> dict[str, str]:
        """All that the results of a run hang on."""
        return {
            "records": self.manifest.fingerprint,
            "weights": stored_hash(run / WEIGHTS),
            "liver_weights": self.liver_hash,
            "program": __version__,
        }


def _of_run(run: Path, sources: _Sources, part: str) -> RunResults:
    cases = {one: cases_of_part(run, sources.manifest, one) for one in ("validation", part)}
    validation = _of_part(run, sources, "validation", cases["validation"], None)
    if part == "validation":
        return validation
    temperature = fit_temperature(validation.results, part=_fitted_on(validation))
    return _of_part(run, sources, part, cases[part], temperature)


def _fitted_on(validation: RunResults) -> str:
    return "validation" if validation.clean else "test fold"


def _of_part(
    run: Path, sources: _Sources, part: str, cases: list[str], temperature: Temperature | None
) -> RunResults:
    """What is stored of a part if it still holds, else measured anew and stored."""
    made_of, looks = sources.made_of(run), 1
    if has_results(run, part):
        before = load_results(run, part)
        if before.made_of == made_of and _label_maps(run, part).is_file():
            return before
        looks = before.looks + (_way(before.made_of) != _way(made_of))
    check_shards(sources.records, sources.manifest, cases)
    cascade = Cascade(sources.finder, Network.of_run(run, "lesion"))
    identity = json.loads((run / "run.json").read_text(encoding="utf-8"))
    results, labels = _measure(cascade, sources, cases, f"{run.resolve().name}, {part}")
    value = None if temperature is None else temperature.value
    fold, seed = str(identity["fold"]), int(identity["seed"])
    found = RunResults(
        protocol=run.resolve().name,
        fold=fold,
        seed=seed,
        part=part,
        validation=identity.get("validation", INNER),
        label_set=cascade.label_set,
        made_of=made_of,
        results=tuple(replace(one, temperature=value, fold=fold, seed=seed) for one in results),
        temperature=temperature,
        looks=looks,
    )
    with written_whole(_label_maps(run, part)) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **labels)
    found.save(run)
    return found


def _way(made_of: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in made_of.items() if name != "program"}


def _label_maps(run: Path, part: str) -> Path:
    return run / FOLDER / f"{part}_labels.npz"


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
    cascade: Cascade, sources: _Sources, cases: list[str], name: str
) -> tuple[list[ImageResult], dict[str, np.ndarray]]:
    """Results of all slices of some cases, and their label maps by case and slice."""
    wanted = set(cases)
    entries = [entry for entry in sources.manifest.cases if entry.case in wanted]
    predict = ScoredSlices(cascade)
    results, maps = [], {}
    for entry in tqdm(entries, desc=f"measure {name}", unit="patient"):
        of_patient = list(read_case(sources.records, entry))
        for record, (labels, scores) in zip(of_patient, predict(of_patient), strict=True):
            maps[_map_name(record.case, record.slice_index)] = labels
            results.append(
                measure_image(
                    record.labels,
                    labels,
                    cascade.label_set,
                    patient=record.patient,
                    case=record.case,
                    slice_index=record.slice_index,
                    true_diagnosis=record.diagnosis or None,
                    spacing_mm=record.spacing_mm,
                    type_scores=scores,
                )
            )
    return results, maps


def _map_name(case: str, slice_index: int) -> str:
    return f"{case}-{slice_index}"


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
    with np.load(_label_maps(one.run, one.stored.part)) as maps:
        predicted = maps[_map_name(result.case, result.slice_index)]
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


def facts(runs: list[Path], liver_run: Path, records: Path) -> dict[str, str]:
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

"""Runs to results: predict the test slices of a fold through the cascade and measure them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from liver_tf import __version__, run_files
from liver_tf.assessment.assessment_settings import EvaluateSettings
from liver_tf.assessment.keeping_shown import keep_shown
from liver_tf.assessment.slice_predictor import SlicePredictor
from liver_tf.atomic_files import atomic_write
from liver_tf.inference import postprocessing
from liver_tf.inference.cascade import Cascade
from liver_tf.inference.liver_finder import LiverFinder
from liver_tf.inference.trained_network import TrainedNetwork
from liver_tf.measures.calibration import Temperature, fit_temperature
from liver_tf.measures.compare_with_truth import compare_with_truth
from liver_tf.measures.slice_result import SliceResult
from liver_tf.model.description import Description, load_description
from liver_tf.model.weights_file import stored_hash
from liver_tf.records.manifest import Manifest, load_manifest
from liver_tf.records.shard_reader import check_shards, read_case
from liver_tf.refusals import Refusal
from liver_tf.report.write_report import TABLE, write_runs_report
from liver_tf.results.example_slices import load_examples
from liver_tf.results.stored_results import (
    RunResults,
    has_results,
    load_results,
)
from liver_tf.run_files import INNER


@dataclass(frozen=True)
class Measured:
    """A run that was measured on a part of its fold.

    ``stored`` are the figures; the label maps lie beside them in the run's folder.
    """

    run: Path
    records: Path
    stored: RunResults

    @property
    def results(self) -> tuple[SliceResult, ...]:
        """A row per slice."""
        return self.stored.results


@dataclass(frozen=True)
class Evaluation:
    """The report of an evaluation.

    Attributes:
      table: the paper's table with the evaluated protocols beside it, for a terminal.
      files: ``report.html``, ``report.md``, ``report.csv`` and the other files of the report.
    """

    table: str
    files: tuple[Path, ...]


def evaluate(settings: EvaluateSettings | None = None, /, **options: Any) -> Evaluation:
    """Evaluate fine-tuned runs on the test patients of their folds and write the report.

    Runs of one protocol on several folds and seeds are pooled. Results are kept in each run's
    folder under ``measures/`` and reused by the next evaluation.

    Args:
      settings: All options; None takes the defaults.
      **options: Single options by name, as in ``liver-tf evaluate --help``. ``run`` is required.

    Raises:
      OptionError: An option has a value that it cannot take.
      Refusal: See ``evaluate_runs`` and ``write_runs_report``.

    Example:
      >>> print(evaluate(run=["runs/finetune/fold0/seed0/hier_freeze"]).table)
    """
    settings = EvaluateSettings.of(settings, **options)
    evaluate_runs(
        settings.run, settings.liver_run, settings.records, use_chosen=settings.postprocessing
    )
    output = settings.output or settings.run[0].resolve().parent / "report"
    files = write_runs_report(
        settings.run,
        output,
        data_label=settings.data_label,
        samples=settings.samples,
        seed=settings.seed,
    )
    return Evaluation((output / TABLE).read_text(encoding="utf-8"), tuple(files))


def evaluate_runs(
    runs: Sequence[Path],
    liver_run: Path,
    records: Path,
    part: str = "test",
    *,
    use_chosen: bool = True,
) -> list[Measured]:
    """Measure every run on its own test patients, or take what was measured before.

    First the validation patients are measured and the temperature of the type scores is fitted on
    them; only then are those of the test read, once. ``part="validation"`` stops before: choices
    are made there. ``use_chosen``: with the post-processing that was chosen for each run, if any.
    Everything is kept in the run's folder under ``measures/`` with what it hangs on (records,
    weights, post-processing, program), and measured again only where that has changed. The worst,
    median and best test slices are kept with their pixels, for reports to show.

    Raises ``Refusal`` where a run is not finished or was trained on ROIs of other records.
    """
    manifest = load_manifest(records)
    sources = _Sources(liver_run, records, manifest, use_chosen)
    return [Measured(run, records, _Measuring(run, sources).part(part)) for run in runs]


@dataclass(frozen=True)
class _Sources:
    """What all runs are measured with; networks are loaded when first needed."""

    liver_run: Path
    records: Path
    manifest: Manifest
    use_chosen: bool

    @cached_property
    def finder(self) -> LiverFinder:
        return LiverFinder.of_run(self.liver_run)

    @cached_property
    def liver_hash(self) -> str:
        load_description(self.liver_run)
        return stored_hash(self.liver_run / run_files.WEIGHTS)

    def how(self, run: Path) -> postprocessing.PostProcessing:
        """What is made of a run's probabilities."""
        return postprocessing.load(run) if self.use_chosen else postprocessing.NOTHING

    def made_of(self, run: Path) -> dict[str, str]:
        """All that the results of a run hang on."""
        return {
            "records": self.manifest.fingerprint,
            "weights": stored_hash(run / run_files.WEIGHTS),
            "liver_weights": self.liver_hash,
            "postprocessing": self.how(run).text(),
            "program": __version__,
        }


@dataclass(frozen=True)
class _Measuring:
    """One run on its way to results; its networks are loaded once for all parts."""

    run: Path
    sources: _Sources

    @cached_property
    def predict(self) -> SlicePredictor:
        lesion = TrainedNetwork.of_run(self.run, "lesion")
        how = self.sources.how(self.run)
        return SlicePredictor(Cascade(self.sources.finder, lesion, how=how, in_liver_only=True))

    def part(self, part: str) -> RunResults:
        cases = {
            one: cases_of_part(self.run, self.sources.manifest, one) for one in ("validation", part)
        }
        validation = self._of_part("validation", cases["validation"], None)
        if part == "validation":
            return validation
        fitted_on = "validation" if validation.clean else "test fold"
        temperature = fit_temperature(validation.results, part=fitted_on)
        found = self._of_part(part, cases[part], temperature)
        if load_examples(self.run, found) is None:
            label_map_of = partial(_stored_label_map, run_files.label_maps_file(self.run, part))
            keep_shown(self.run, found, self.sources.records, self.sources.manifest, label_map_of)
        return found

    def _of_part(self, part: str, cases: list[str], temperature: Temperature | None) -> RunResults:
        """What is stored of a part if it still holds, else measured anew and stored."""
        made_of, looks = self.sources.made_of(self.run), 1
        if has_results(self.run, part):
            before = load_results(self.run, part)
            if before.made_of == made_of and run_files.label_maps_file(self.run, part).is_file():
                return before
            looks = before.looks + (_way(before.made_of) != _way(made_of))
        check_shards(self.sources.records, self.sources.manifest, cases)
        identity = run_files.read_identity(self.run)
        name = self.run.resolve().name
        results, labels = _measure(self.predict, self.sources, cases, f"{name}, {part}")
        value = None if temperature is None else temperature.value
        # A pre-training has no fold; it can be measured on its validation all the same.
        fold, seed = str(identity.get("fold", "")), int(identity.get("seed", 0))
        found = RunResults(
            protocol=name,
            fold=fold,
            seed=seed,
            part=part,
            validation=identity.get("validation", INNER),
            label_set=self.predict.label_set,
            made_of=made_of,
            results=tuple(replace(one, temperature=value, fold=fold, seed=seed) for one in results),
            temperature=temperature,
            looks=looks,
        )
        with (
            atomic_write(run_files.label_maps_file(self.run, part)) as temporary,
            open(temporary, "wb") as file,
        ):
            np.savez_compressed(file, **labels)
        found.save(self.run)
        return found


def _way(made_of: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in made_of.items() if name != "program"}


def _stored_label_map(path: Path, case: str, slice_index: int) -> np.ndarray:
    with np.load(path) as maps:
        return maps[map_name(case, slice_index)]


def _refuse_other_meaning(description: Description, manifest: Manifest, run: Path) -> None:
    """Refuse records whose labels or pixels mean something else than those trained on."""
    ours, theirs = description.label_set.classes, manifest.label_set.classes
    if ours != theirs:
        raise Refusal(
            "label-set-differs",
            run,
            expected=f"records with the run's classes, {', '.join(ours)}",
            found=f"records with {', '.join(theirs)}",
            remedy="Name the records of the run with --records.",
        )
    if tuple(description.window) != tuple(manifest.window):
        raise Refusal(
            "window-differs",
            run,
            expected=f"records with the run's window {list(description.window)} HU",
            found=f"{list(manifest.window)} HU",
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
            found=f"fingerprint {manifest.fingerprint[:16]}, not {str(came_from)[:16]}",
            remedy="Name them with --records.",
        )
    identity = run_files.read_identity(run)
    if not identity["split"][part]:
        raise Refusal(
            "no-patients",
            run,
            expected=f"a run that left patients for its {part} part",
            found="none: it was trained without folds",
            remedy="Fine-tune with --folds_file to have patients left for the test.",
        )
    return identity["split"][part]


def _measure(
    predict: SlicePredictor, sources: _Sources, cases: list[str], name: str
) -> tuple[list[SliceResult], dict[str, np.ndarray]]:
    """Results of all slices of some cases, and their label maps by case and slice."""
    wanted = set(cases)
    entries = [entry for entry in sources.manifest.cases if entry.case in wanted]
    results, maps = [], {}
    for entry in tqdm(entries, desc=f"measure {name}", unit="patient"):
        of_patient = list(read_case(sources.records, entry))
        for record, (labels, scores) in zip(of_patient, predict(of_patient), strict=True):
            maps[map_name(record.case, record.slice_index)] = labels
            results.append(
                compare_with_truth(
                    record.labels,
                    labels,
                    predict.label_set,
                    patient=record.patient,
                    case=record.case,
                    slice_index=record.slice_index,
                    true_diagnosis=record.diagnosis or None,
                    spacing_mm=record.spacing_mm,
                    type_scores=scores,
                )
            )
    return results, maps


def map_name(case: str, slice_index: int) -> str:
    """Under which name the label map of a slice is kept."""
    return f"{case}-{slice_index}"

"""Evaluate runs: predict their test slices through the cascade, store results, write the report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from liver_tf import __version__, run_files
from liver_tf.assessment.assessment_settings import EvaluateSettings
from liver_tf.assessment.label_maps import map_name, save_label_maps
from liver_tf.assessment.save_examples import save_example_slices
from liver_tf.assessment.slice_predictor import SlicePrediction, SlicePredictor
from liver_tf.assessment.split_cases import cases_of_part
from liver_tf.folder_lock import held_alone, require_writable
from liver_tf.inference import postprocessing
from liver_tf.inference.cascade import Cascade
from liver_tf.inference.ensemble_checks import check_runs
from liver_tf.inference.liver_finder import LiverFinder
from liver_tf.inference.trained_network import TrainedNetwork
from liver_tf.labels import LabelSet
from liver_tf.measures.calibration import Temperature, fit_temperature
from liver_tf.measures.compare_with_truth import compare_with_truth
from liver_tf.measures.measure_registry import summarise
from liver_tf.measures.slice_result import SliceResult
from liver_tf.model.description import liver_identity, load_description, precision_for
from liver_tf.model.precision_settings import FLOAT32
from liver_tf.model.weights_file import stored_hash
from liver_tf.progress import with_progress
from liver_tf.records.manifest import Manifest, implanted, load_manifest
from liver_tf.records.record_schema import SliceRecord
from liver_tf.records.shard_reader import check_shards, read_case
from liver_tf.report.foreign_files import TABLE, refuse_foreign_report
from liver_tf.report.write_report import write_runs_report
from liver_tf.results.example_slices import load_examples
from liver_tf.results.pool_runs import default_label
from liver_tf.results.run_results import ENSEMBLE, RunResults, hash_of_ensemble
from liver_tf.results.stored_results import (
    has_results,
    last_look,
    load_results,
    save_results,
)
from liver_tf.run_files import INNER


@dataclass(frozen=True)
class Evaluation:
    """The report of an evaluation.

    Attributes:
      table: the paper's table with the evaluated protocols, for a terminal.
      files: ``report.html``, ``report.md``, ``report.csv`` and the other files of the report.
      best: the run with the highest Dice2; runs validated on the test fold come last.
    """

    table: str
    files: tuple[Path, ...]
    best: Path


def evaluate(settings: EvaluateSettings | None = None, /, **options: Any) -> Evaluation:
    """Evaluate fine-tuned runs on the test patients of their folds and write the report.

    Runs of one protocol on several folds and seeds are pooled. Results are kept in each run's
    folder under ``measures/`` and reused by the next evaluation.

    Args:
      settings: All options; None takes the defaults.
      **options: Single options by name, as in ``liver-tf evaluate --help``. ``run`` is required.

    Raises:
      OptionError: An option has a value that it cannot take.
      Refusal: ``output-busy`` if another process writes to a run or the report;
        ``output-foreign`` if the report would replace files of another program; see
        ``evaluate_runs`` and ``write_runs_report``.

    Examples:
      >>> print(evaluate(run=["runs/finetune/fold0/seed0/hier_freeze"]).table)
    """
    settings = EvaluateSettings.of(settings, **options)
    output = settings.output or settings.run[0].resolve().parent / "report"
    for run in settings.run:
        load_description(run)  # a folder that is no run is refused, not created
    averaged = _ensembles(settings.run) if settings.ensembles else {}
    refuse_foreign_report(output)
    with held_alone(*settings.run, written=False), held_alone(*averaged, output):
        how: dict[str, Any] = {
            "use_chosen": settings.postprocessing,
            "decision": settings.decision,
            "precision": settings.precision,
        }
        results = evaluate_runs(settings.run, settings.liver_run, settings.records, **how)
        if settings.ensembles:
            evaluate_ensembles(settings.run, settings.liver_run, settings.records, **how)
        files = write_runs_report(
            settings.run,
            output,
            data_label=settings.data_label or default_label(load_manifest(settings.records)),
            samples=settings.samples,
            seed=settings.seed,
        )
        best = max(zip(settings.run, results, strict=True), key=lambda pair: _rank(pair[1]))[0]
        return Evaluation((output / TABLE).read_text(encoding="utf-8"), tuple(files), best)


def _rank(results: RunResults) -> tuple[bool, float]:
    return results.clean, summarise(results.results)["dice2"] or 0.0


def evaluate_runs(
    runs: Sequence[Path],
    liver_run: Path,
    records: Path,
    part: str = "test",
    *,
    use_chosen: bool = True,
    decision: str | None = None,
    precision: str = FLOAT32,
) -> list[RunResults]:
    """Predict and measure every run on its test patients, or load what was stored before.

    The validation patients come first: the temperature of the type scores is fitted on them before
    a test slice is read. Results are stored in the run's folder with what they depend on (records,
    weights, post-processing, program version), and recomputed only if that has changed. The worst,
    median and best test slices are stored with their pixels for reports.

    Args:
      records: record set of complete slices from which the runs' ROIs were cut.
      part: ``test``, or ``validation`` to evaluate the validation patients only.
      use_chosen, decision: see ``postprocessing.of_runs``.
      precision: of both networks; see ``load_network``.

    Raises:
      Refusal: a run is not finished, or was trained on ROIs of other records; as
        ``postprocessing.of_runs``.
    """
    precision = precision_for(runs[0], precision).name
    manifest = load_manifest(records)
    sources = _Sources(liver_run, records, manifest, use_chosen, decision, precision)
    return [_NetworkEvaluation((run,), run, sources).results(part) for run in runs]


def evaluate_ensembles(
    runs: Sequence[Path],
    liver_run: Path,
    records: Path,
    *,
    use_chosen: bool = True,
    decision: str | None = None,
    precision: str = FLOAT32,
) -> list[RunResults]:
    """As ``evaluate_runs``, for the ensembles of runs that differ in their seed only.

    Their class probabilities are averaged; decision rule and post-processing are those of
    ``postprocessing.of_ensemble``. Results are stored beside the seeds (``ensemble_folder``).

    Raises:
      Refusal: as ``evaluate_runs``; as ``check_runs``.
    """
    precision = precision_for(runs[0], precision).name
    manifest = load_manifest(records)
    sources = _Sources(liver_run, records, manifest, use_chosen, decision, precision)
    ensembles = _ensembles(runs)
    for seeds in ensembles.values():
        check_runs(seeds)
    return [
        _NetworkEvaluation(tuple(seeds), folder, sources).results("test")
        for folder, seeds in ensembles.items()
    ]


def _ensembles(runs: Sequence[Path]) -> dict[Path, list[Path]]:
    """The runs of each ensemble, by its folder."""
    members: dict[Path, list[Path]] = {}
    for run in sorted(runs):
        members.setdefault(run_files.ensemble_folder(run), []).append(run)
    return {folder: seeds for folder, seeds in members.items() if len(seeds) > 1}


@dataclass(frozen=True)
class _Sources:
    """What all runs are evaluated with; the liver network is loaded on first use."""

    liver_run: Path
    records: Path
    manifest: Manifest
    use_chosen: bool
    decision: str | None
    precision: str

    @cached_property
    def finder(self) -> LiverFinder:
        return LiverFinder.of_run(self.liver_run, precision=self.precision)

    @cached_property
    def liver_identity(self) -> dict[str, str]:
        return liver_identity(self.liver_run)

    def postprocessing(self, runs: Sequence[Path]) -> postprocessing.PostProcessing:
        return postprocessing.of_runs(runs, use_chosen=self.use_chosen, decision=self.decision)

    def dependencies(self, runs: Sequence[Path]) -> dict[str, str]:
        """Everything that the results of a run or an ensemble depend on."""
        weights = [stored_hash(run / run_files.WEIGHTS) for run in runs]
        return {
            "records": self.manifest.fingerprint,
            "weights": hash_of_ensemble(weights),
            **self.liver_identity,
            "postprocessing": self.postprocessing(runs).text(),
            "program": __version__,
            # Absent for float32, as in results of earlier versions.
            **({} if self.precision == FLOAT32 else {"precision": self.precision}),
            **implanted(self.manifest),
        }


@dataclass(frozen=True)
class _NetworkEvaluation:
    """The evaluation of a run or an ensemble; its networks are loaded once for all parts.

    ``folder`` is for results: that of the run, or of the ensemble.
    """

    runs: tuple[Path, ...]
    folder: Path
    sources: _Sources

    def results(self, part: str) -> RunResults:
        cases = {
            each: cases_of_part(self.runs[0], self.sources.manifest, each)
            for each in ("validation", part)
        }
        validation = self._results_of("validation", cases["validation"], None)
        if part == "validation":
            return validation
        fitted_on = "validation" if validation.clean else "test fold"
        temperature = fit_temperature(validation.results, part=fitted_on)
        results = self._results_of(part, cases[part], temperature)
        if load_examples(self.folder, results) is None:
            save_example_slices(self.folder, results, self.sources.records, self.sources.manifest)
        return results

    def _results_of(
        self, part: str, cases: list[str], temperature: Temperature | None
    ) -> RunResults:
        """The stored results if they are still valid; otherwise new ones, which are stored.

        Results of earlier versions, without scores of lesions and without ``argmax``, are valid.
        """
        made_of = self.sources.dependencies(self.runs)
        if has_results(self.folder, part):
            stored = load_results(self.folder, part)
            if stored.made_of == made_of and run_files.label_maps_file(self.folder, part).is_file():
                return stored
        look = last_look(self.folder, part)
        looks = 1 if look is None else look[0] + (_settings(look[1]) != _settings(made_of))
        identity = run_files.require_identity(self.runs[0], part)
        require_writable(run_files.results_file(self.folder, part).parent)
        (slices, *others), maps = self._predict(cases, part)
        value = None if temperature is None else temperature.value
        # A pre-training has no fold, but can be evaluated on its validation part.
        fold, seed = str(identity.get("fold", "")), int(identity.get("seed", 0))
        results = RunResults(
            protocol=self._protocol,
            fold=fold,
            seed=seed,
            part=part,
            validation=identity.get("validation", INNER),
            label_set=self._predictor.label_set,
            made_of=made_of,
            results=tuple(replace(r, temperature=value, fold=fold, seed=seed) for r in slices),
            argmax=tuple(replace(r, fold=fold, seed=seed) for r in others[0]) if others else None,
            temperature=temperature,
            looks=looks,
        )
        save_label_maps(self.folder, part, maps)
        save_results(results, self.folder)
        return results

    @property
    def _protocol(self) -> str:
        name = self.runs[0].resolve().name
        return name if len(self.runs) == 1 else f"{name}{ENSEMBLE}{len(self.runs)} seeds"

    @cached_property
    def _predictor(self) -> SlicePredictor:
        """With the run's decision; and by argmax alone, unless that is the run's decision."""
        precision = self.sources.precision
        lesion = [TrainedNetwork.of_run(run, "lesion", precision=precision) for run in self.runs]
        how = self.sources.postprocessing(self.runs)
        return SlicePredictor(
            *(
                Cascade(self.sources.finder, lesion, how=each, in_liver_only=True)
                for each in dict.fromkeys((how, postprocessing.NOTHING))
            )
        )

    def _predict(
        self, cases: list[str], part: str
    ) -> tuple[list[list[SliceResult]], dict[str, np.ndarray]]:
        """Results of all slices of the cases by each decision, and the label maps of the first.

        Results of validation patients are those of the run's decision only.
        """
        predictor = self._predictor
        records, manifest = self.sources.records, self.sources.manifest
        check_shards(records, manifest, cases)
        selected = set(cases)
        entries = [entry for entry in manifest.cases if entry.case in selected]
        decisions = 1 if part == "validation" else len(predictor.cascades)
        results: list[list[SliceResult]] = [[] for _ in range(decisions)]
        maps = {}
        title = f"evaluate {self._protocol}, {part}"
        for entry in with_progress(entries, title, "patient"):
            slices = list(read_case(records, entry))
            predictions = predictor.of_each_cascade(slices)
            for of_decision, each in zip(results, predictions, strict=False):
                for record, predicted in zip(slices, each, strict=True):
                    of_decision.append(_compared(record, predicted, predictor.label_set))
            for record, predicted in zip(slices, predictions[0], strict=True):
                maps[map_name(record.case, record.slice_index)] = predicted.labels
        return results, maps


def _compared(record: SliceRecord, prediction: SlicePrediction, label_set: LabelSet) -> SliceResult:
    return compare_with_truth(
        record.labels,
        prediction.labels,
        label_set,
        patient=record.patient,
        case=record.case,
        slice_index=record.slice_index,
        true_diagnosis=record.diagnosis or None,
        spacing_mm=record.spacing_mm,
        type_scores=prediction.type_scores.tolist(),
        lesion_probability=prediction.lesion_probability,
    )


def _settings(made_of: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in made_of.items() if name != "program"}

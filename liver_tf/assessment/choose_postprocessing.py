"""Choose post-processing on the validation patients of a run, never on its test patients."""

import functools
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from liver_tf import run_files
from liver_tf.assessment.assessment_settings import ChooseSettings
from liver_tf.assessment.split_cases import cases_of_part
from liver_tf.folder_lock import locked_folder
from liver_tf.inference import postprocessing
from liver_tf.inference.cascade import Cascade
from liver_tf.inference.decision_threshold import decide
from liver_tf.inference.liver_finder import LiverFinder
from liver_tf.inference.postprocessing import PostProcessing
from liver_tf.inference.slice_batches import BATCH, SliceGraph
from liver_tf.inference.small_lesions import least_pixels, without_small
from liver_tf.inference.trained_network import TrainedNetwork
from liver_tf.labels import LIVER
from liver_tf.model.weights_file import stored_hash
from liver_tf.records.manifest import load_manifest
from liver_tf.records.record_schema import SliceRecord
from liver_tf.records.shard_reader import check_shards, read_case
from liver_tf.refusals import Refusal

#: The search grid: every combination is tried. None is the most likely class.
LESION_PROBABILITIES = (None, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
FILL_HOLES = (False, True)
LEAST_AREAS_MM2 = (0.0, 10.0, 25.0, 50.0, 100.0, 200.0)

COMBINATIONS = tuple(
    PostProcessing(*values)
    for values in itertools.product(LESION_PROBABILITIES, FILL_HOLES, LEAST_AREAS_MM2)
)

MEASURE = (
    "mean over the validation slices: lesion Dice of slices with a lesion; for slices without a "
    "lesion, 1 without a detection and 0 with one"
)

#: Smallest gain in score that justifies a more complex combination.
WORTH = 0.005

_DIGITS = 4


def choose_and_save(settings: ChooseSettings) -> Iterator[str]:
    """Choose the post-processing of each run and save it there; yields a summary of each choice.

    Raises:
      Refusal: As ``choose_postprocessing``; ``output-busy`` if another process uses the run.
    """
    for run in settings.run:
        how, chosen = choose_postprocessing(
            run, settings.liver_run, settings.records, in_liver_only=settings.in_liver_only
        )
        with locked_folder(run):
            postprocessing.save(run, how, chosen)
        summary = choice_summary(how, chosen)
        yield f"{run / run_files.POSTPROCESSING}: {how.text()}\n{summary}"


def choose_postprocessing(
    run: Path, liver_run: Path, records: Path, *, in_liver_only: bool = True
) -> tuple[PostProcessing, dict[str, Any]]:
    """The simplest combination of those with nearly the best score on the validation patients.

    Slices are processed one by one, as in the evaluation. The score includes healthy slices, which
    Dice2 ignores.

    Args:
      records: record set of complete slices from which the run's ROIs were cut.
      in_liver_only: remove predicted lesions outside the predicted liver.

    Returns:
      The settings, and how they were chosen, for ``postprocessing.save``; ``table`` holds the score
      of every combination.

    Raises:
      Refusal: as ``cases_of_part``, and ``validation-no-lesion``.
    """
    manifest = load_manifest(records)
    cases = cases_of_part(run, manifest, "validation")
    check_shards(records, manifest, cases)
    cascade = Cascade(
        LiverFinder.of_run(liver_run),
        TrainedNetwork.of_run(run, "lesion"),
        in_liver_only=in_liver_only,
    )
    selected = set(cases)
    entries = [entry for entry in manifest.cases if entry.case in selected]
    slices = (read_case(records, entry) for entry in tqdm(entries, desc="choose", unit="patient"))
    dice, rejected = measure_combinations(cascade, slices)
    if not len(dice):
        raise Refusal(
            "validation-no-lesion",
            run,
            expected="at least one validation slice with a lesion",
            found=f"{len(rejected)} slice(s), none of them with a lesion",
            remedy="Use the run without this step, or fine-tune with folds whose validation "
            "patients have lesions.",
        )
    how, table = best_of(dice, rejected)
    return how, {
        "measure": MEASURE,
        "chosen_on": {
            "part": "validation",
            "cases": [entry.case for entry in entries],
            "slices_with_lesion": len(dice),
            "slices_without": len(rejected),
            "records": manifest.fingerprint,
            "liver_weights": stored_hash(liver_run / run_files.WEIGHTS),
            "in_liver_only": in_liver_only,
        },
        "table": table,
    }


def choice_summary(how: PostProcessing, chosen: dict[str, Any]) -> str:
    """The chosen settings compared with no post-processing, for a terminal."""
    without, best = (
        next(row for row in chosen["table"] if row.items() >= asdict(each).items())
        for each in (PostProcessing(), how)
    )
    basis = chosen["chosen_on"]
    width = max(len(how.text()), 32)
    lines = [
        f"{len(chosen['table'])} combinations on {len(basis['cases'])} validation patient(s): "
        f"{basis['slices_with_lesion']} slices with a lesion, {basis['slices_without']} without",
        f"  {'':{width}}  score   Dice2   healthy slices without detection",
    ]
    for name, row in (("none", without), (how.text(), best)):
        healthy = row["healthy_slices_without_detection"]
        share = "-" if healthy is None else f"{healthy:.4f}"
        lines.append(f"  {name:{width}}  {row['score']:.4f}  {row['dice2']:.4f}  {share}")
    return "\n".join([*lines, *_limits(how)])


def measure_combinations(
    cascade: Cascade, patients: Iterable[Iterable[SliceRecord]]
) -> tuple[np.ndarray, np.ndarray]:
    """Evaluate every combination on the slices of patients.

    Returns:
      Lesion Dice of the slices with a lesion, float64 [slices, combinations], 0 for a lesion
      without outline; then 1 or 0 for the slices without a lesion: whether nothing was detected.
    """
    dice, rejected = [], []
    evaluator = _CombinationEvaluator(cascade)
    for patient in patients:
        for record, counts in evaluator.lesion_pixels(list(patient)):
            true = int((record.labels > LIVER).sum())
            if true or record.diagnosis in cascade.label_set.lesions:
                dice.append(
                    [2 * both / (true + predicted) if true else 0.0 for predicted, both in counts]
                )
            else:
                rejected.append([float(predicted == 0) for predicted, _ in counts])
    width = len(COMBINATIONS)
    return np.array(dice).reshape(-1, width), np.array(rejected).reshape(-1, width)


def best_of(dice: np.ndarray, rejected: np.ndarray) -> tuple[PostProcessing, list[dict[str, Any]]]:
    """The simplest combination with a score within ``WORTH`` of the best, and a row for each."""
    scores = np.concatenate([dice, rejected]).mean(axis=0)
    table = [
        {
            **asdict(how),
            "score": round(float(scores[k]), _DIGITS),
            "dice2": round(float(dice[:, k].mean()), _DIGITS),
            "healthy_slices_without_detection": (
                round(float(rejected[:, k].mean()), _DIGITS) if len(rejected) else None
            ),
        }
        for k, how in enumerate(COMBINATIONS)
    ]
    enough = max(row["score"] for row in table) - WORTH
    good = [k for k, row in enumerate(table) if row["score"] >= enough]
    best = min(good, key=lambda k: (*COMBINATIONS[k].simplicity()[:3], -table[k]["score"]))
    return COMBINATIONS[best], table


class _CombinationEvaluator:
    """A cascade whose probabilities are computed once and decided by every combination."""

    def __init__(self, cascade: Cascade) -> None:
        self._probabilities = SliceGraph(cascade.undecided, tf.TensorSpec([None, 2], tf.float32))
        self._decide = _decision_graphs(len(cascade.label_set), cascade.in_liver_only)

    def lesion_pixels(
        self, records: list[SliceRecord]
    ) -> Iterator[tuple[SliceRecord, list[tuple[int, int]]]]:
        """Each slice with its predicted and correctly predicted lesion pixels by combination."""
        for shape in dict.fromkeys(record.image.shape for record in records):
            same = [record for record in records if record.image.shape == shape]
            for first in range(0, len(same), BATCH):
                batch = same[first : first + BATCH]
                spacing = np.array([r.spacing_mm or (0.0, 0.0) for r in batch], np.float32)
                hu = np.stack([record.image for record in batch])
                undecided = self._probabilities(hu, spacing)
                for k, record in enumerate(batch):
                    this = slice(k, k + 1)
                    part = {n: None if v is None else v[this] for n, v in undecided.items()}
                    yield record, list(self._counts(part, record, spacing[this]))

    def _counts(
        self, undecided: dict[str, Any], record: SliceRecord, spacing: np.ndarray
    ) -> Iterator[tuple[int, int]]:
        row, column = undecided["origin"].numpy()[0]
        liver = undecided["liver_in_window"].numpy()
        height, width = liver.shape[1:]
        truth = record.labels[row : row + height, column : column + width] > LIVER
        decided = {
            key: graph(undecided["probabilities"], undecided["inside"]).numpy().astype(np.uint8)
            for key, graph in self._decide.items()
        }
        for how in COMBINATIONS:
            labels = decided[how.lesion_probability, how.fill_holes]
            if how.least_area_mm2:
                labels = labels.copy()
                without_small(labels, liver, int(least_pixels(tf.constant(spacing), how)[0]))
            lesion = labels[0] > LIVER
            yield int(lesion.sum()), int((lesion & truth).sum())


@functools.cache
def _decision_graphs(classes: int, in_liver_only: bool) -> dict[tuple[float | None, bool], Any]:
    """A graph for each threshold and hole filling; traced once for all runs."""
    probabilities = tf.TensorSpec([None, None, None, classes], tf.float32)
    inside = tf.TensorSpec([None, None, None], tf.bool) if in_liver_only else None
    return {
        (how.lesion_probability, how.fill_holes): tf.function(
            functools.partial(decide, how=how), input_signature=[probabilities, inside]
        )
        for how in COMBINATIONS
        if not how.least_area_mm2
    }


def _limits(how: PostProcessing) -> list[str]:
    """A warning for each setting at the limit of the search grid."""
    tried = [p for p in LESION_PROBABILITIES if p is not None]
    at_limit = []
    if how.lesion_probability in (min(tried), max(tried)):
        at_limit.append(
            f"threshold {how.lesion_probability:g} (searched {min(tried):g} to {max(tried):g})"
        )
    if how.least_area_mm2 == max(LEAST_AREAS_MM2):
        at_limit.append(
            f"minimum area {how.least_area_mm2:g} mm2 (searched up to {max(LEAST_AREAS_MM2):g})"
        )
    return [
        f"  CAUTION. The {setting} is at the limit of the search grid: a better value may lie "
        "beyond. The network may be poorly calibrated or insufficiently trained."
        for setting in at_limit
    ]

"""Post-processing chosen by a run's validation patients, never by those of its test."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from liver_tf import run_files
from liver_tf.assessment.assessment_settings import ChooseSettings
from liver_tf.assessment.evaluate import cases_of_part
from liver_tf.folder_lock import locked_folder
from liver_tf.inference import postprocessing
from liver_tf.inference.cascade import Cascade
from liver_tf.inference.decision_threshold import decide
from liver_tf.inference.liver_finder import LiverFinder
from liver_tf.inference.postprocessing import PostProcessing
from liver_tf.inference.slice_batches import BATCH, SliceGraph, as_graph_dtype
from liver_tf.inference.small_lesions import least_pixels, without_small
from liver_tf.inference.trained_network import TrainedNetwork
from liver_tf.labels import LIVER
from liver_tf.model.weights_file import stored_hash
from liver_tf.records.manifest import load_manifest
from liver_tf.records.record_schema import SliceRecord
from liver_tf.records.shard_reader import check_shards, read_case
from liver_tf.refusals import Refusal

#: What is tried: every combination. None is the most likely class.
LESION_PROBABILITIES = (None, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
FILL_HOLES = (False, True)
LEAST_AREAS_MM2 = (0.0, 10.0, 25.0, 50.0, 100.0, 200.0)

COMBINATIONS = tuple(
    PostProcessing(*values)
    for values in itertools.product(LESION_PROBABILITIES, FILL_HOLES, LEAST_AREAS_MM2)
)

MEASURE = (
    "mean over the validation slices: lesion Dice where there is a lesion; where there is none "
    "1 if none was found, else 0"
)

#: Half a point: what gains less over something simpler is not worth its rule, or is chance.
WORTH = 0.005

_DIGITS = 4


def choose_postprocessing(
    run: Path, liver_run: Path, records: Path, *, in_liver_only: bool = True
) -> tuple[PostProcessing, dict]:
    """The simplest of the good combinations on the run's validation patients.

    Slices are taken each for itself, as the measures of the test are. Dice over the slices with a
    lesion alone (the paper's Dice2) would not see what is found in healthy ones: these count too.

    Returns:
      The settings, and how they were chosen, for :func:`liver_tf.inference.postprocessing.save`:
      ``table`` holds the measure of every combination.

    Raises:
      Refusal: as :func:`liver_tf.assessment.evaluate.cases_of_part`, and ``validation-no-lesion``.
    """
    manifest = load_manifest(records)
    cases = cases_of_part(run, manifest, "validation")
    check_shards(records, manifest, cases)
    cascade = Cascade(
        LiverFinder.of_run(liver_run),
        TrainedNetwork.of_run(run, "lesion"),
        in_liver_only=in_liver_only,
    )
    wanted = set(cases)
    entries = [entry for entry in manifest.cases if entry.case in wanted]
    slices = (read_case(records, entry) for entry in tqdm(entries, desc="choose", unit="patient"))
    dice, rejected = measure_combinations(cascade, slices)
    if not len(dice):
        raise Refusal(
            "validation-no-lesion",
            run,
            expected="at least one validation slice with a lesion to choose by",
            found=f"{len(rejected)} slice(s), none of them with one",
            remedy="Do without, or fine-tune with folds whose validation patients have lesions.",
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


def measure_combinations(
    cascade: Cascade, patients: Iterable[Iterable[SliceRecord]]
) -> tuple[np.ndarray, np.ndarray]:
    """Every combination on every slice of some patients.

    Returns:
      Lesion Dice of the slices with a lesion, float64 [slices, combinations], 0 where the outline
      of a lesion has no pixel; and for those without one whether nothing was found.
    """
    dice, rejected = [], []
    looker = _Looker(cascade)
    for patient in patients:
        for record, found in looker.measured(list(patient)):
            true = int((record.labels > LIVER).sum())
            if true or record.diagnosis in cascade.label_set.lesions:
                dice.append([2 * both / (true + seen) if true else 0.0 for seen, both in found])
            else:
                rejected.append([float(seen == 0) for seen, _ in found])
    width = len(COMBINATIONS)
    return np.array(dice).reshape(-1, width), np.array(rejected).reshape(-1, width)


def best_of(dice: np.ndarray, rejected: np.ndarray) -> tuple[PostProcessing, list[dict]]:
    """The simplest combination whose score is within ``WORTH`` of the best; and a row for each."""
    scores = np.concatenate([dice, rejected]).mean(axis=0)
    table = [
        {
            **asdict(how),
            "score": round(float(scores[index]), _DIGITS),
            "dice2": round(float(dice[:, index].mean()), _DIGITS),
            "healthy_slices_without_detection": (
                round(float(rejected[:, index].mean()), _DIGITS) if len(rejected) else None
            ),
        }
        for index, how in enumerate(COMBINATIONS)
    ]
    enough = max(row["score"] for row in table) - WORTH
    good = [index for index, row in enumerate(table) if row["score"] >= enough]
    best = min(good, key=lambda i: (*COMBINATIONS[i].simplicity()[:3], -table[i]["score"]))
    return COMBINATIONS[best], table


class _Looker:
    """A cascade and all that may be made of its answers, as graphs that are traced once."""

    def __init__(self, cascade: Cascade) -> None:
        self._look = SliceGraph(cascade.undecided, tf.TensorSpec([None, 2], tf.float32))
        classes = len(cascade.label_set)
        seen = tf.TensorSpec([None, None, None, classes], tf.float32)
        inside = tf.TensorSpec([None, None, None], tf.bool) if cascade.in_liver_only else None
        self._decide = {
            (how.lesion_probability, how.fill_holes): tf.function(
                functools.partial(decide, how=how), input_signature=[seen, inside]
            )
            for how in COMBINATIONS
            if not how.least_area_mm2
        }

    def measured(
        self, records: list[SliceRecord]
    ) -> Iterator[tuple[SliceRecord, list[tuple[int, int]]]]:
        """Each slice with lesion pixels found, and those rightly found, by every combination."""
        for shape in dict.fromkeys(record.image.shape for record in records):
            same = [record for record in records if record.image.shape == shape]
            for first in range(0, len(same), BATCH):
                group = same[first : first + BATCH]
                spacing = np.float32([record.spacing_mm or (0.0, 0.0) for record in group])
                seen = self._look(as_graph_dtype(np.stack([one.image for one in group])), spacing)
                for place, record in enumerate(group):
                    own = slice(place, place + 1)
                    part = {k: None if v is None else v[own] for k, v in seen.items()}
                    yield record, list(self._found(part, record, spacing[own]))

    def _found(
        self, seen: dict, record: SliceRecord, spacing: np.ndarray
    ) -> Iterator[tuple[int, int]]:
        row, column = seen["origin"].numpy()[0]
        liver = seen["liver_in_window"].numpy()
        height, width = liver.shape[1:]
        truth = record.labels[row : row + height, column : column + width] > LIVER
        decided = {
            key: graph(seen["probabilities"], seen["inside"]).numpy().astype(np.uint8)
            for key, graph in self._decide.items()
        }
        for how in COMBINATIONS:
            labels = decided[how.lesion_probability, how.fill_holes]
            if how.least_area_mm2:
                labels = labels.copy()
                without_small(labels, liver, int(least_pixels(tf.constant(spacing), how)[0]))
            lesion = labels[0] > LIVER
            yield int(lesion.sum()), int((lesion & truth).sum())


def choice_summary(how: PostProcessing, chosen: dict) -> str:
    """What was chosen beside nothing, for the terminal."""
    of_nothing, of_best = (
        next(row for row in chosen["table"] if row.items() >= asdict(one).items())
        for one in (PostProcessing(), how)
    )
    where = chosen["chosen_on"]
    width = max(len(how.text()), 32)
    lines = [
        f"{where['slices_with_lesion']} slices with and {where['slices_without']} without a lesion "
        f"of {len(where['cases'])} validation patient(s), {len(chosen['table'])} combinations",
        f"  {'':{width}}  score   Dice2   healthy slices without detection",
    ]
    for name, row in (("none", of_nothing), (how.text(), of_best)):
        healthy = row["healthy_slices_without_detection"]
        share = "-" if healthy is None else f"{healthy:.4f}"
        lines.append(f"  {name:{width}}  {row['score']:.4f}  {row['dice2']:.4f}  {share}")
    return "\n".join([*lines, *_edges(how)])


def _edges(how: PostProcessing) -> list[str]:
    """Where the choice lies at an end of what was tried, a better one may lie beyond."""
    tried = [one for one in LESION_PROBABILITIES if one is not None]
    found = []
    if how.lesion_probability in (min(tried), max(tried)):
        found.append(f"threshold {how.lesion_probability:g} (of {min(tried):g} to {max(tried):g})")
    if how.least_area_mm2 == max(LEAST_AREAS_MM2):
        found.append(f"least area {how.least_area_mm2:g} mm2 (of up to {max(LEAST_AREAS_MM2):g})")
    return [
        f"  CAUTION. The {one} is the edge of what was tried: a better one may lie beyond, and a "
        "network that needs it may be ill calibrated or trained too briefly"
        for one in found
    ]


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

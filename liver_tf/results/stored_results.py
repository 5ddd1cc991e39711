"""Results of a run, kept in its folder: pooling runs never asks a network again.

``RUN/measures/test.json`` is what the program reads back; ``test.csv`` beside it is the same as a
tidy table, a row per slice, for eyes and other programs. Both hold pseudonyms only.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from liver_tf import atomic_files, run_files
from liver_tf.labels import LIVER, LabelSet
from liver_tf.measures.calibration import Temperature
from liver_tf.measures.lesion_matching import IOU_THRESHOLDS
from liver_tf.measures.slice_result import SliceResult
from liver_tf.refusals import Refusal
from liver_tf.run_files import INNER, TEST_FOLD

SCHEMA_VERSION = 1

#: What is said of runs whose choices were made on the test fold.
LOOSE = "VALIDATED ON THE TEST FOLD"


def run_name(fold: str, seed: int, protocol: str, validation: str = INNER) -> str:
    """``fold0/seed0/hier_freeze``, as ``trainers.finetune`` names the run's folder."""
    place = f"fold{fold}" if fold.isdigit() else fold
    suffix = run_files.VALIDATED_ON_TEST if validation == TEST_FOLD else ""
    return f"{place}{suffix}/seed{seed}/{protocol}"


@dataclass(frozen=True)
class RunResults:
    """What one network has shown on one part of its fold.

    Attributes:
      protocol, fold, seed: name the network.
      part: ``test`` or ``validation``.
      validation: ``inner`` or ``test_fold``.
      label_set: of the results.
      made_of: what the results hang on, by name: fingerprint of the records, hashes of weights,
        program version. Others make other results.
      results: a row per slice.
      temperature: fitted on the validation part; None on that part itself, and where it has none.
      looks: in how many ways this part was predicted by this run; another version of the program
        is no other way.
    """

    protocol: str
    fold: str
    seed: int
    part: str
    validation: str
    label_set: LabelSet
    made_of: Mapping[str, str]
    results: tuple[SliceResult, ...]
    temperature: Temperature | None = None
    looks: int = 1

    @property
    def cell(self) -> str:
        """Name of the network among others, as its folder lies: ``fold0/seed0/hier_freeze``."""
        return run_name(self.fold, self.seed, self.protocol, self.validation)

    @property
    def clean(self) -> bool:
        """Whether the test fold took no part in any choice."""
        return self.validation == INNER

    def save(self, run: Path) -> None:
        """Write both files into the run's folder, each whole or not at all."""
        atomic_files.write_json(
            run_files.results_file(run, self.part),
            {
                "schema": SCHEMA_VERSION,
                "protocol": self.protocol,
                "fold": self.fold,
                "seed": self.seed,
                "part": self.part,
                "validation": self.validation,
                "label_set": {
                    "name": self.label_set.name,
                    "classes": list(self.label_set.classes),
                },
                "made_of": dict(self.made_of),
                "temperature": None if self.temperature is None else asdict(self.temperature),
                "looks": self.looks,
                "images": [result.to_json() for result in self.results],
            },
        )
        atomic_files.write_text(run_files.results_table(run, self.part), images_csv([self]))


def has_results(run: Path, part: str) -> bool:
    """Whether a run has been measured on a part of its fold."""
    return run_files.results_file(run, part).is_file()


def load_results(run: Path, part: str = "test") -> RunResults:
    """Read what ``RunResults.save`` wrote.

    Raises:
      Refusal: there is none, it cannot be read, or another version of the program wrote it.
    """
    path = run_files.results_file(run, part)
    if not path.is_file():
        raise Refusal(
            "no-results",
            run,
            expected=f"a run that was measured on its {part} part",
            found="one that was not",
            remedy="Measure it with trainers.evaluate.",
        )
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        schema = value["schema"]
    except (ValueError, KeyError, TypeError):
        raise _damaged(path) from None
    if schema != SCHEMA_VERSION:
        raise Refusal(
            "results-schema",
            path,
            expected=f"results of schema {SCHEMA_VERSION}",
            found=f"schema {schema!r}",
            remedy="Delete the file and measure the run again with trainers.evaluate.",
        )
    try:
        temperature = value["temperature"]
        if temperature is not None:
            temperature = Temperature(**temperature | {"cases": tuple(temperature["cases"])})
        return RunResults(
            protocol=value["protocol"],
            fold=value["fold"],
            seed=value["seed"],
            part=value["part"],
            validation=value["validation"],
            label_set=LabelSet(value["label_set"]["name"], tuple(value["label_set"]["classes"])),
            made_of=value["made_of"],
            results=tuple(SliceResult.from_json(one) for one in value["images"]),
            temperature=temperature,
            looks=value["looks"],
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _damaged(path) from None


def _damaged(path: Path) -> Refusal:
    return Refusal(
        "results-damaged",
        path,
        expected="the JSON that trainers.evaluate wrote",
        found="something else",
        remedy="Delete the file and measure the run again with trainers.evaluate.",
    )


def pooled(runs: Sequence[RunResults]) -> dict[str, tuple[SliceResult, ...]]:
    """Results of many runs by protocol, folds and seeds together.

    Where only some were validated on the test fold these carry ``LOOSE`` in their names, so that
    they are never read as the others; where all were, ``label_of`` says it of everything.

    Raises:
      Refusal: two runs of the same protocol, fold and seed; other label sets or other records;
        folds that share a patient, which are not folds of one cross-validation; or runs of one
        fold that were tested on other slices.
    """
    mixed = len({run.clean for run in runs}) > 1
    seen: set[tuple] = set()
    found: dict[str, list[SliceResult]] = {}
    fold_of: dict[tuple, str] = {}
    for run in runs:
        name = f"{run.protocol}, {LOOSE}" if mixed and not run.clean else run.protocol
        if (name, run.fold, run.seed) in seen:
            raise _not_one_study("every protocol, fold and seed once", f"{run.cell} twice")
        seen.add((name, run.fold, run.seed))
        for result in run.results:
            if fold_of.setdefault((name, result.patient), run.fold) != run.fold:
                raise _not_one_study(
                    "folds whose test patients are apart", f"a patient in two folds of {name}"
                )
        found.setdefault(name, []).extend(
            replace(one, fold=run.fold, seed=run.seed) for one in run.results
        )
    slices_of: dict[str, frozenset] = {}
    for run in runs:
        tested = frozenset(result.image for result in run.results)
        if slices_of.setdefault(run.fold, tested) != tested:
            raise _not_one_study("runs of one fold on the same slices", f"{run.cell} on others")
    for name, kinds in (
        ("label set", {run.label_set.classes for run in runs}),
        ("record set", {run.made_of.get("records") for run in runs}),
    ):
        if len(kinds) > 1:
            raise _not_one_study(f"runs on one {name}", f"{len(kinds)}")
    return {name: tuple(results) for name, results in found.items()}


def label_of(runs: Sequence[RunResults], data_label: str) -> str:
    """What the figures are called: the data, and ``LOOSE`` where no run is clean."""
    return data_label if any(run.clean for run in runs) else f"{data_label}, {LOOSE}"


def cautions(runs: Sequence[RunResults]) -> tuple[str, ...]:
    """What a reader must know before any figure; a sentence each, to be shown in red."""
    found = []
    loose = [run.cell for run in runs if not run.clean]
    if loose:
        found.append(
            f"{LOOSE}: early stopping, post-processing and temperature of {', '.join(loose)} "
            "looked at the patients that they are tested on. Their figures are optimistic and "
            "mimic looser practice; do not compare them with clean ones."
        )
    often = [f"{run.cell} ({run.looks} times)" for run in runs if run.looks > 1]
    if often:
        found.append(
            f"TEST FOLD MEASURED MORE THAN ONCE: {', '.join(often)}, in other ways. What was "
            "chosen after a look is no test any more."
        )
    return tuple(found)


def _not_one_study(expected: str, found: str) -> Refusal:
    return Refusal(
        "runs-not-one-study",
        None,
        expected=expected,
        found=found,
        remedy="Report on runs of one data set and one set of folds, each named once.",
    )


def images_csv(runs: Sequence[RunResults]) -> str:
    """All slices of some runs as one tidy table; an empty field is an undefined value."""
    types = runs[0].label_set.lesions if runs else ()
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow((*_COLUMNS, *(f"score_{name}" for name in types)))
    for run in runs:
        for result in run.results:
            writer.writerow([_cell(value) for value in _row(run, result)])
    return out.getvalue()


_COLUMNS = (
    *("protocol", "fold", "seed", "part", "validation", "patient", "case", "slice"),
    *("true_type", "predicted_type", "overlap", "dice", "dice_liver"),
    *("lesion_pixels_true", "lesion_pixels_predicted", "lesion_pixels_both"),
    *("size", "largest_lesion_mm", "lesions_true", "lesions_found"),
    *(f"lesions_hit_iou{round(100 * least)}" for least in IOU_THRESHOLDS),
    *("hd95_lesion_mm", "assd_lesion_mm", "hd95_liver_mm", "assd_liver_mm"),
    *("row_spacing_mm", "column_spacing_mm", "temperature"),
)


def _row(run: RunResults, result: SliceResult) -> list:
    names = run.label_set.classes
    diameters = [one.diameter_mm for one in result.true_lesions if one.diameter_mm is not None]
    lesion, liver = result.lesion_surface, result.liver_surface
    return [
        *(run.protocol, run.fold, run.seed, run.part, run.validation),
        *(result.patient, result.case, result.slice_index),
        "healthy" if result.true_diagnosis is None else names[result.true_diagnosis],
        "nothing" if result.predicted_diagnosis is None else names[result.predicted_diagnosis],
        *(int(result.overlap), result.dice, result.liver.dice),
        *(result.lesion.true, result.lesion.predicted, result.lesion.both),
        *(result.size if result.has_lesion else None, max(diameters, default=None)),
        *(len(result.true_lesions), len(result.found_lesions)),
        *(sum(one.iou >= least for one in result.true_lesions) for least in IOU_THRESHOLDS),
        *((lesion.hd95_mm, lesion.assd_mm) if lesion else (None, None)),
        *((liver.hd95_mm, liver.assd_mm) if liver else (None, None)),
        *(result.spacing_mm or (None, None)),
        result.temperature,
        *(result.type_scores or (None,) * (len(names) - LIVER - 1)),
    ]


def _cell(value) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)

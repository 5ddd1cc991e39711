"""The results of a run, saved in its folder so that reports need no network.

``RUN/measures/test.json`` is read back by ``load_results``; ``test.csv`` holds the same rows as a
table. Both contain pseudonyms only.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from liver_tf import atomic_files, run_files
from liver_tf.labels import LabelSet
from liver_tf.measures.calibration import Temperature
from liver_tf.measures.slice_result import SliceResult
from liver_tf.refusals import Refusal
from liver_tf.results.results_csv import results_csv
from liver_tf.run_files import INNER, TEST_FOLD

SCHEMA_VERSION = 1

_PLAIN_FIELDS = ("protocol", "fold", "seed", "part", "validation")

#: Label of runs whose choices were made on the test fold.
LOOSE = "VALIDATED ON THE TEST FOLD"


def run_name(fold: str, seed: int, protocol: str, validation: str = INNER) -> str:
    """``fold0/seed0/hier_freeze``: the place of a run below the folder of all runs."""
    place = f"fold{fold}" if fold.isdigit() else fold
    suffix = run_files.VALIDATED_ON_TEST if validation == TEST_FOLD else ""
    return f"{place}{suffix}/seed{seed}/{protocol}"


@dataclass(frozen=True)
class RunResults:
    """Results of one network on one part of its fold.

    Attributes:
      protocol: with fold and seed, identifies the network.
      part: ``test`` or ``validation``.
      validation: ``inner`` or ``test_fold``.
      made_of: what the results depend on, by name: fingerprint of the records, hashes of the
        weights, program version.
      temperature: fitted on the validation part; None on that part, or if it could not be fitted.
      looks: number of settings with which this run predicted this part; program versions do not
        count as settings.
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
    def name(self) -> str:
        """The run's place among others: ``fold0/seed0/hier_freeze``."""
        return run_name(self.fold, self.seed, self.protocol, self.validation)

    @property
    def clean(self) -> bool:
        """Whether no choice was made on the test fold."""
        return self.validation == INNER

    def save(self, run: Path) -> None:
        """Write JSON and CSV into the run's folder, each atomically."""
        atomic_files.write_json(
            run_files.results_file(run, self.part),
            {
                "schema": SCHEMA_VERSION,
                **{name: getattr(self, name) for name in _PLAIN_FIELDS},
                "label_set": {"name": self.label_set.name, "classes": self.label_set.classes},
                "made_of": self.made_of,
                "temperature": None if self.temperature is None else asdict(self.temperature),
                "looks": self.looks,
                "images": [result.to_json() for result in self.results],
            },
        )
        atomic_files.write_text(run_files.results_table(run, self.part), results_csv([self]))


def has_results(run: Path, part: str) -> bool:
    """Whether a run was evaluated on a part of its fold."""
    return run_files.results_file(run, part).is_file()


def load_results(run: Path, part: str = "test") -> RunResults:
    """Read what ``RunResults.save`` wrote.

    Raises:
      Refusal: ``no-results``, ``results-damaged``, or ``results-schema`` if another version of the
        program wrote the file.
    """
    path = run_files.results_file(run, part)
    if not path.is_file():
        raise Refusal(
            "no-results",
            run,
            expected=f"a run with results on its {part} part",
            found="no results",
            remedy="Evaluate it with trainers.evaluate.",
        )
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        if value["schema"] != SCHEMA_VERSION:
            raise Refusal(
                "results-schema",
                path,
                expected=f"results of schema {SCHEMA_VERSION}",
                found=f"schema {value['schema']!r}",
                remedy="Delete the file and evaluate the run again with trainers.evaluate.",
            )
        temperature = value["temperature"]
        if temperature is not None:
            temperature = Temperature(**temperature | {"cases": tuple(temperature["cases"])})
        return RunResults(
            **{name: value[name] for name in _PLAIN_FIELDS},
            label_set=LabelSet(value["label_set"]["name"], tuple(value["label_set"]["classes"])),
            made_of=value["made_of"],
            results=tuple(SliceResult.from_json(image) for image in value["images"]),
            temperature=temperature,
            looks=value["looks"],
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Refusal(
            "results-damaged",
            path,
            expected="the JSON that trainers.evaluate wrote",
            found="a damaged file",
            remedy="Delete the file and evaluate the run again with trainers.evaluate.",
        ) from None

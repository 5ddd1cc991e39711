"""The results of a run, saved in its folder so that reports need no network.

``RUN/measures/test.json`` is read back by ``load_results``; ``test.csv`` holds the same rows as a
table. Both contain pseudonyms only.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from liver_tf import atomic_files, run_files
from liver_tf.bounded_files import read_json
from liver_tf.labels import LabelSet
from liver_tf.measures.calibration import Temperature
from liver_tf.measures.slice_result import SliceResult
from liver_tf.refusals import Refusal
from liver_tf.results.results_csv import results_csv
from liver_tf.results.run_results import RunResults

SCHEMA_VERSION = 1

_PLAIN_FIELDS = ("protocol", "fold", "seed", "part", "validation")


def save_results(results: RunResults, run: Path) -> None:
    """Write JSON and CSV into the run's folder, each atomically; the looks come first."""
    temperature = results.temperature
    look = {"looks": results.looks, "made_of": dict(results.made_of)}
    atomic_files.write_json(run / run_files.LOOKS, _looks(run) | {results.part: look})
    atomic_files.write_json(
        run_files.results_file(run, results.part),
        {
            "schema": SCHEMA_VERSION,
            **{name: getattr(results, name) for name in _PLAIN_FIELDS},
            "label_set": {"name": results.label_set.name, "classes": results.label_set.classes},
            "made_of": results.made_of,
            "temperature": None if temperature is None else asdict(temperature),
            "looks": results.looks,
            "images": [result.to_json() for result in results.results],
            "argmax": (
                None if results.argmax is None else [result.to_json() for result in results.argmax]
            ),
        },
    )
    atomic_files.write_text(run_files.results_table(run, results.part), results_csv([results]))


def has_results(run: Path, part: str) -> bool:
    """Whether a run was evaluated on a part of its fold."""
    return run_files.results_file(run, part).is_file()


def last_look(run: Path, part: str) -> tuple[int, dict[str, str]] | None:
    """With how many settings a part was predicted, and what the last prediction depended on.

    ``RUN/looks.json`` keeps both if the results are deleted. None if the part was never predicted.

    Raises:
      Refusal: ``results-damaged``; as ``load_results``.
    """
    look = _looks(run).get(part)
    if look is not None:
        return look["looks"], look["made_of"]
    if not has_results(run, part):
        return None
    stored = load_results(run, part)  # of an earlier version
    return stored.looks, dict(stored.made_of)


def _looks(run: Path) -> dict[str, dict[str, Any]]:
    path = run / run_files.LOOKS
    if not path.exists():
        return {}
    try:
        looks = dict(read_json(path))
        for look in looks.values():
            if not (look["looks"] >= 1 and look["made_of"].keys()):
                raise ValueError("no look")
        return looks
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise Refusal(
            "results-damaged",
            path,
            expected="the number of evaluations that liver-tf evaluate wrote",
            found="a damaged file",
            remedy="Copy the file again from its source.",
        ) from None


def load_results(run: Path, part: str = "test") -> RunResults:
    """Read what ``save_results`` wrote.

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
            remedy="Evaluate it with liver-tf evaluate.",
        )
    try:
        value = read_json(path)
        if value["schema"] != SCHEMA_VERSION:
            raise Refusal(
                "results-schema",
                path,
                expected=f"results of schema {SCHEMA_VERSION}",
                found=f"schema {value['schema']!r}",
                remedy="Delete the file and evaluate the run again with liver-tf evaluate.",
            )
        temperature = value["temperature"]
        if temperature is not None:
            temperature = Temperature(**temperature | {"cases": tuple(temperature["cases"])})
        return RunResults(
            **{name: value[name] for name in _PLAIN_FIELDS},
            label_set=LabelSet(value["label_set"]["name"], tuple(value["label_set"]["classes"])),
            made_of=value["made_of"],
            results=_slices(value["images"]) or (),
            temperature=temperature,
            looks=value["looks"],
            # Earlier versions did not store it.
            argmax=_slices(value.get("argmax")),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Refusal(
            "results-damaged",
            path,
            expected="the JSON that liver-tf evaluate wrote",
            found="a damaged file",
            remedy="Delete the file and evaluate the run again with liver-tf evaluate.",
        ) from None


def _slices(images: list[dict[str, Any]] | None) -> tuple[SliceResult, ...] | None:
    return None if images is None else tuple(SliceResult.from_json(image) for image in images)

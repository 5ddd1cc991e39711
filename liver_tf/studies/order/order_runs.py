"""``order_runs.csv``: the measures of every run of an order study, as published.

A later study reads it (``--earlier_runs``) and executes only the missing runs. A long study can
thus be split into parts whose data and networks need not be kept.
"""

import csv
import math
from collections.abc import Mapping
from pathlib import Path

from liver_tf.csv_text import csv_text
from liver_tf.labels import LESION_TYPES
from liver_tf.refusals import Refusal

#: The measures that are tested.
MEASURES = ("dice2", "accuracy")
#: The measures that are reported for every run.
REPORTED = (*MEASURES, "success", "dice1", "accuracy_detected", "healthy_false_positive_rate")
#: Measures of every type: Accuracy can hide that a type is never recognised.
BY_TYPE = tuple(
    f"{measure}_{name}"
    for measure in ("sensitivity", "pooled_dice_class")
    for name in LESION_TYPES.lesions
)
COLUMNS = ("patients", "replicate", "arm", *REPORTED, *BY_TYPE)

#: Measure -> value, by (patients, replicate, arm).
Values = Mapping[tuple[int, int, str], Mapping[str, float]]


def runs_text(values: Values) -> str:
    """The table as CSV, with 6 digits; a measure that is undefined is an empty cell."""
    rows: list[tuple[object, ...]] = [COLUMNS]
    for run, of_run in values.items():
        numbers = (f"{of_run[m]:.6g}" if m in of_run else "" for m in (*REPORTED, *BY_TYPE))
        rows.append((*run, *numbers))
    return csv_text(rows)


def read_runs(path: Path) -> dict[tuple[int, int, str], dict[str, float]]:
    """The runs of a table.

    Raises:
      Refusal: ``file-missing``, ``runs-table``.
    """
    if not path.is_file():
        raise Refusal(
            "file-missing",
            path,
            expected="order_runs.csv of an order study",
            found="no file",
            remedy="Correct --earlier_runs.",
        )
    try:
        with open(path, encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise ValueError("different columns")
            return {
                (int(row["patients"]), int(row["replicate"]), row["arm"]): _measures(row)
                for row in reader
            }
    except (ValueError, TypeError, csv.Error) as error:
        raise Refusal(
            "runs-table",
            path,
            expected=f"the columns {', '.join(COLUMNS[:4])} ... and a number in each cell",
            found=str(error),
            remedy="Use an order_runs.csv that was written by an order study.",
        ) from error


def _measures(row: Mapping[str, str]) -> dict[str, float]:
    found = {name: float(row[name]) for name in (*REPORTED, *BY_TYPE) if row[name]}
    if not all(math.isfinite(value) for value in found.values()):
        raise ValueError("a value that is not finite")
    return found

"""The generated labels of unlabelled neighbours: how many are used, and their accuracy."""

from collections.abc import Sequence
from typing import Any

from liver_tf import run_files
from liver_tf.measures.measure_registry import measure_title
from liver_tf.records.manifest import MADE_LABELS, MANIFEST_NAME
from liver_tf.report.page.page_parts import Table
from liver_tf.report.tables.paper_table import ABSENT
from liver_tf.results.study_inventory import StudyRun, read_object

#: The rows of the quality in the record set (``anatomical.label_quality``), with their titles.
_ROWS = {
    "labels made": "generated labels",
    "predicted, same slices": "predicted, same slices",
    "predicted, all": "predicted, all neighbours",
}
_MEASURES = ("dice2", "success", "accuracy", "healthy_false_positive_rate")


def made_labels_table(runs: Sequence[StudyRun]) -> Table | None:
    """Means over the runs of each protocol with made labels; None without any."""
    made: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        manifest = read_object(run.run / run_files.EXTENDED_RECORDS / MANIFEST_NAME)
        result = manifest.get("made_by", {}).get(MADE_LABELS, {}).get("result")
        if result:
            made.setdefault(run.protocol, []).append(result)
    rows = []
    for protocol, results in made.items():
        used = _mean([each["outcomes"]["kept"] for each in results])
        every = _mean([sum(each["outcomes"].values()) for each in results])
        measured = [row for row in _ROWS if any(row in each["quality"] for each in results)]
        for row in measured or [""]:
            of_row = [each["quality"][row] for each in results if row in each["quality"]]
            figures = [_mean([one[m] for one in of_row]) for m in _MEASURES]
            right = _mean([one["accuracy_detected"] for one in of_row])
            wrong = None if right is None else 1 - right
            rows.append(
                (
                    protocol,
                    *(_shown(n, ".0f") for n in (every, used)),
                    _ROWS.get(row, ABSENT),
                    *(_shown(figure, ".2f") for figure in (*figures, wrong)),
                )
            )
    if not rows:
        return None
    titles = (*map(measure_title, _MEASURES), "Wrong types")
    return Table(("protocol", "neighbours", "used", "labels", *titles), tuple(rows))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _shown(value: float | None, form: str) -> str:
    return ABSENT if value is None else f"{value:{form}}"

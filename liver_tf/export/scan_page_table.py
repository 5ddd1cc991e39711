"""The table of lesions on the scan page: its headings and the text of its cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from liver_tf.export.lesions_csv import Scalar, columns_of, row_of
from liver_tf.inference.lesion_properties import DetectedLesion

_HEADINGS = {
    "number": "no.",
    "first_slice": "from slice",
    "last_slice": "to slice",
    "volume_ml": "volume, ml",
    "area_mm2": "largest area, mm²",
    "mean_hu": "mean HU",
    "longest_diameter_mm": "longest diameter, mm",
    "diameter_slice": "diameter in slice",
}
#: Fields with a value for each type, such as ``p(cyst)``.
_PER_TYPE = {"type_probabilities": "p", "type_probability_sd": "SD of p"}


class LesionTable(NamedTuple):
    """Headings, and one row of cells per lesion, as text."""

    headings: list[str]
    rows: list[list[str]]


def lesion_table(lesions: Sequence[DetectedLesion]) -> LesionTable:
    """All fields of the lesions."""
    rows = [row_of(lesion) for lesion in lesions]
    columns = columns_of(rows)
    return LesionTable(
        [_heading(column) for column in columns],
        [[_cell(row.get(column)) for column in columns] for row in rows],
    )


def _heading(column: str) -> str:
    field, _, type_name = column.partition(".")
    if type_name and field in _PER_TYPE:
        return f"{_PER_TYPE[field]}({type_name})"
    return _HEADINGS.get(column, column.replace("_", " "))


def _cell(value: Scalar) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return str(value)

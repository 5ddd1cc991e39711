"""Lesions as rows of plain values, and ``lesions.csv``: one or more columns for every field."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from liver_tf.atomic_files import atomic_write
from liver_tf.export.lesion_centroids import Centroid
from liver_tf.inference.lesion_properties import DetectedLesion

Scalar = str | int | float | bool | None

#: Columns of fields that have the same parts in every lesion.
_PAIRS = {"slices": ("first_slice", "last_slice")}
_COLUMNS = {
    **_PAIRS,
    "centroid_voxel": tuple(f"centroid_voxel.{axis}" for axis in "ijk"),
    "centroid_mm": tuple(f"centroid_mm.{axis}" for axis in "xyz"),
}


def write_lesions_csv(
    path: Path | str, rows: Sequence[Mapping[str, Scalar]], scan: str, status: str
) -> None:
    """Write one line per lesion (UTF-8, RFC 4180), atomically; unknown values are empty.

    A scan without lesions has one line with its status only. Otherwise it would be missing from
    joined tables, and a scan without liver could be taken for a healthy one.

    Args:
      rows: From ``lesion_rows``.
      scan: Identifies the scan in joined tables; never a file name or a patient's name.
      status: ``ScanFindings.status``.
    """
    columns = columns_of(rows) if rows else _columns_of_fields(DetectedLesion, Centroid)
    with (
        atomic_write(path) as temporary,
        open(temporary, "w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.DictWriter(file, ["scan", "status", *columns])
        writer.writeheader()
        writer.writerows({"scan": scan, "status": status, **row} for row in rows or [{}])


def lesion_rows(
    lesions: Sequence[DetectedLesion], centroids: Sequence[Centroid]
) -> list[dict[str, Scalar]]:
    """One row per lesion, centroid included."""
    return [
        {**row_of(lesion), **row_of(centroid)}
        for lesion, centroid in zip(lesions, centroids, strict=True)
    ]


def row_of(lesion: DetectedLesion | Centroid) -> dict[str, Scalar]:
    """The values by column; ``a.b`` is entry ``b`` of field ``a``."""
    return dict(_flat("", plain(asdict(lesion))))


def columns_of(rows: Sequence[Mapping[str, Scalar]]) -> list[str]:
    """Every column of the rows, in order of first appearance."""
    return list(dict.fromkeys(column for row in rows for column in row))


def plain(value: Any) -> Any:
    """The value with built-in numbers, lists and dictionaries, for JSON."""
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return value.item() if hasattr(value, "item") else value


def _columns_of_fields(*types: type) -> list[str]:
    names = [field.name for each in types for field in fields(each)]
    return [column for name in names for column in _COLUMNS.get(name, (name,))]


def _flat(name: str, value: Any) -> Iterable[tuple[str, Scalar]]:
    if isinstance(value, dict):
        parts = [(f"{name}.{key}" if name else key, part) for key, part in value.items()]
    elif isinstance(value, list):
        names = _PAIRS.get(name) or [f"{name}.{index}" for index in range(len(value))]
        parts = list(zip(names, value, strict=True))
    else:
        return [(name, value)]
    return [leaf for key, part in parts for leaf in _flat(key, part)]

"""Lesions as rows of plain values, for tables that people and other programs read.

Whatever fields a lesion has become columns, so that the table never lacks one.
"""

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

#: Pairs whose two values have names of their own.
_PAIRS = {"slices": ("first_slice", "last_slice")}

#: Columns of fields of a lesion whose parts are the same for all.
_COLUMNS = {
    **_PAIRS,
    "centroid_voxel": tuple(f"centroid_voxel.{axis}" for axis in "ijk"),
    "centroid_mm": tuple(f"centroid_mm.{axis}" for axis in "xyz"),
}


def plain(value: Any) -> Any:
    """The same with Python's own numbers, lists and dictionaries, as JSON has them."""
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return value.item() if hasattr(value, "item") else value


def row_of(lesion: DetectedLesion | Centroid) -> dict[str, Scalar]:
    """Its values by column; ``a.b`` is entry ``b`` of the field ``a``."""
    return dict(_flat("", plain(asdict(lesion))))


def columns_of(rows: Sequence[Mapping[str, Scalar]]) -> list[str]:
    """Every column of the rows, in the order of their first appearance.

    Without rows those that every lesion has, so that an empty table has a head too.
    """
    if not rows:
        return _columns_of_fields(DetectedLesion)
    return list(dict.fromkeys(column for row in rows for column in row))


def _columns_of_fields(*kinds: type) -> list[str]:
    names = [field.name for kind in kinds for field in fields(kind)]
    return [column for name in names for column in _COLUMNS.get(name, (name,))]


def write_lesions_csv(
    path: Path | str,
    lesions: Sequence[DetectedLesion],
    centroids: Sequence[Centroid],
    scan: str,
    status: str,
) -> None:
    """One line a lesion (UTF-8, RFC 4180), whole or not at all; unknown values are empty.

    A scan without lesions has one line that says so by its status, all else empty: in joined
    tables it would be missing else, and one without liver would pass for a healthy one.

    Args:
      centroids: of the lesions.
      scan: what stands in the first column, so that tables of several scans can be joined; no
        file name and no patient's.
      status: of the scan, :func:`liver_tf.export.scan_status.status_of`.
    """
    rows = [
        {**row_of(lesion), **row_of(centroid)}
        for lesion, centroid in zip(lesions, centroids, strict=True)
    ]
    columns = columns_of(rows) if rows else _columns_of_fields(DetectedLesion, Centroid)
    with (
        atomic_write(path) as temporary,
        open(temporary, "w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.DictWriter(file, ["scan", "status", *columns])
        writer.writeheader()
        writer.writerows({"scan": scan, "status": status, **row} for row in rows or [{}])


def _flat(name: str, value: Any) -> Iterable[tuple[str, Scalar]]:
    if isinstance(value, dict):
        parts = [(f"{name}.{key}" if name else key, part) for key, part in value.items()]
    elif isinstance(value, list):
        names = _PAIRS.get(name) or [f"{name}.{index}" for index in range(len(value))]
        parts = list(zip(names, value, strict=True))
    else:
        return [(name, value)]
    return [leaf for key, part in parts for leaf in _flat(key, part)]

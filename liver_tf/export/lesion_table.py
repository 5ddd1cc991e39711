"""Lesions as rows of plain values, for tables that people and other programs read.

Whatever fields a lesion has become columns, so that the table never lacks one.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from liver_tf.atomic_files import written_whole
from liver_tf.inference.lesions import Lesion

Scalar = str | int | float | bool | None

#: Pairs whose two values have names of their own.
_PAIRS = {"slices": ("first_slice", "last_slice")}


def plain(value: Any) -> Any:
    """The same with Python's own numbers, lists and dictionaries, as JSON has them."""
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return value.item() if hasattr(value, "item") else value


def row_of(lesion: Lesion) -> dict[str, Scalar]:
    """A lesion's values by column; ``a.b`` is entry ``b`` of the field ``a``."""
    return dict(_flat("", plain(asdict(lesion))))


def columns_of(rows: Sequence[Mapping[str, Scalar]]) -> list[str]:
    """Every column of the rows, in the order of their first appearance.

    Without rows those that every lesion has, so that an empty table has a head too.
    """
    if not rows:
        names = [field.name for field in fields(Lesion)]
        return [column for name in names for column in _PAIRS.get(name, (name,))]
    return list(dict.fromkeys(column for row in rows for column in row))


def write_lesions_csv(path: Path | str, lesions: Sequence[Lesion], scan: str, status: str) -> None:
    """One line a lesion (UTF-8, RFC 4180), whole or not at all; unknown values are empty.

    A scan without lesions has one line that says so by its status, all else empty: in joined
    tables it would be missing else, and one without liver would pass for a healthy one.

    Args:
      scan: what stands in the first column, so that tables of several scans can be joined; no
        file name and no patient's.
      status: of the scan, :func:`liver_tf.export.scan_status.status_of`.
    """
    rows = [row_of(lesion) for lesion in lesions]
    with (
        written_whole(path) as temporary,
        open(temporary, "w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.DictWriter(file, ["scan", "status", *columns_of(rows)])
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

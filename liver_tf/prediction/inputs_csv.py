"""``inputs.csv``: the scan folder and outcome of every input.

The table identifies an input by its flag or line (``input 2``). Paths are included only on
request, because the names of exported files and folders often contain those of patients.
"""

import contextlib
import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from liver_tf import atomic_files
from liver_tf.csv_text import csv_text
from liver_tf.export.scan_results import ScanResults
from liver_tf.prediction.named_scans import NamedScan
from liver_tf.refusals import Refusal

COLUMNS = (
    *("scan", "named_by", "status", "lesions", "diagnosis", "cautions"),
    *("code", "expected", "came", "remedy"),
)
#: Of inputs without results.
REFUSED, NOT_BEGUN = "refused", "not-begun"


class InputsCsv:
    """The current table of an output folder, rewritten after every scan.

    Scans of earlier commands keep their rows, unless this command has other results for them. A
    file of another origin is kept: the table is then ``inputs-2.csv``, ``inputs-3.csv``, ... Every
    method raises ``OSError`` if the table cannot be read or written.
    """

    def __init__(self, output: Path, inputs: Sequence[NamedScan], *, with_paths: bool) -> None:
        self.path, earlier = _earlier_table(output)
        has_paths = with_paths or any(row.get("path") for row in earlier)
        self._columns = (*COLUMNS, "path") if has_paths else COLUMNS
        self._named: list[dict[str, Any]] = [
            {"scan": scan_name(number), "named_by": scan.named_by, "status": NOT_BEGUN}
            | ({"path": scan.path} if with_paths else {})
            for number, scan in enumerate(inputs)
        ]
        self._rows: dict[str, dict[str, Any]] = {row["scan"]: row for row in earlier}
        for row in self._named:
            if not _has_results(self._rows.get(row["scan"])):
                self._rows[row["scan"]] = row
        self._save()

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows by the names of the scans."""
        return sorted(self._rows.values(), key=lambda row: (len(row["scan"]), row["scan"]))

    def add(self, number: int, results: ScanResults | None, refusal: Refusal | None) -> None:
        """Enter the results or the refusal of an input, counted from 0."""
        row = self._named[number]
        if refusal is not None:
            if refusal.code == "output-exists" and _has_results(self._rows[row["scan"]]):
                return
            row |= {"status": REFUSED, **refusal.to_json()}
        elif results is not None:
            row |= {
                "status": results.status,
                "lesions": len(results.lesions),
                "diagnosis": results.diagnosis,
                "cautions": len(results.cautions),
            }
        self._rows[row["scan"]] = row
        self._save()

    def _save(self) -> None:
        rows = [self._columns, *([row.get(name) for name in self._columns] for row in self.rows)]
        # Bytes of a path that are not UTF-8 are escaped.
        text = csv_text(rows).encode("utf-8", "backslashreplace").decode("utf-8")
        atomic_files.write_text(self.path, text)


def scan_name(number: int) -> str:
    """The folder of an input, counted from 0: ``scan-001``, ``scan-002``, ..."""
    return f"scan-{number + 1:03d}"


def _has_results(row: Mapping[str, Any] | None) -> bool:
    return row is not None and row["status"] not in (REFUSED, NOT_BEGUN)


def _earlier_table(output: Path) -> tuple[Path, list[dict[str, Any]]]:
    """The path of the table, and the rows that it has; a table of another origin is kept."""
    path, number = output / "inputs.csv", 2
    while path.exists():
        with (
            contextlib.suppress(ValueError, csv.Error),
            open(path, encoding="utf-8", newline="") as file,
        ):
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ())[: len(COLUMNS)] == COLUMNS:
                return path, list(reader)
        path, number = output / f"inputs-{number}.csv", number + 1
    return path, []

"""``inputs.csv``: the scan folder and outcome of every input.

The table identifies an input by its flag or line (``input 2``). Paths are included only on
request, because the names of exported files and folders often contain those of patients.
"""

from collections.abc import Sequence
from dataclasses import asdict
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


class InputsCsv:
    """The table of a command's inputs, rewritten after every scan.

    An existing table is kept: a later command with the same output folder writes ``inputs-2.csv``,
    ``inputs-3.csv``, ... Every method raises ``OSError`` if the table cannot be written.
    """

    def __init__(self, output: Path, inputs: Sequence[NamedScan], *, with_paths: bool) -> None:
        self.path = _unused_path(output)
        self._columns = (*COLUMNS, "path") if with_paths else COLUMNS
        self._rows: list[dict[str, Any]] = [
            asdict(scan) | {"scan": scan_name(number), "status": "not-begun"}
            for number, scan in enumerate(inputs)
        ]
        self._save()

    def add(self, number: int, results: ScanResults | None, refusal: Refusal | None) -> None:
        """Enter the results or the refusal of an input, counted from 0."""
        if refusal is not None:
            self._rows[number] |= {"status": "refused", **refusal.to_json()}
        elif results is not None:
            self._rows[number] |= {
                "status": results.status,
                "lesions": len(results.lesions),
                "diagnosis": results.diagnosis,
                "cautions": len(results.cautions),
            }
        self._save()

    def _save(self) -> None:
        rows = [self._columns, *([row.get(name) for name in self._columns] for row in self._rows)]
        # Bytes of a path that are not UTF-8 are escaped.
        text = csv_text(rows).encode("utf-8", "backslashreplace").decode("utf-8")
        atomic_files.write_text(self.path, text)


def scan_name(number: int) -> str:
    """The folder of an input, counted from 0: ``scan-001``, ``scan-002``, ..."""
    return f"scan-{number + 1:03d}"


def _unused_path(output: Path) -> Path:
    path, number = output / "inputs.csv", 2
    while path.exists():
        path, number = output / f"inputs-{number}.csv", number + 1
    return path

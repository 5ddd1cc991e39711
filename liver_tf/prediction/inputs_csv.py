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
from liver_tf.ct.scan import Scan
from liver_tf.export.scan_results import ScanResults
from liver_tf.prediction.named_scans import NamedScan
from liver_tf.prediction.scan_folders import ScanFolders, scan_name
from liver_tf.refusals import Refusal

COLUMNS = (
    *("scan", "named_by", "status", "lesions", "diagnosis", "cautions"),
    *("code", "expected", "came", "remedy"),
)
#: Of inputs without results.
REFUSED, NOT_BEGUN = "refused", "not-begun"
#: Ends ``named_by`` of rows that the current command did not write.
EARLIER = " (earlier command)"


class InputsCsv:
    """The current table of an output folder, rewritten after every scan.

    Scans of earlier commands keep their rows, marked in ``named_by``. A file of another origin is
    kept: the table is then ``inputs-2.csv``, ``inputs-3.csv``, ... Raises ``OSError`` if the table
    cannot be read or written.
    """

    def __init__(self, output: Path, inputs: Sequence[NamedScan], *, with_paths: bool) -> None:
        self.path, earlier = _earlier_table(output)
        has_paths = with_paths or any(row.get("path") for row in earlier)
        self._columns = (*COLUMNS, "path") if has_paths else COLUMNS
        self._named: list[dict[str, Any]] = [
            {"named_by": scan.named_by} | ({"path": str(scan.path)} if with_paths else {})
            for scan in inputs
        ]
        self._earlier: dict[str, dict[str, Any]] = {
            row["scan"]: row | {"named_by": _as_named(row) + EARLIER} for row in earlier
        }
        self._added: dict[str, dict[str, Any]] = {}
        self._begun = 0
        self._folders = ScanFolders(output)
        self.save()

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows by the names of the scans."""
        rows = {**self._earlier, **self._added}
        taken = set(self._added)
        for number in range(self._begun, len(self._named)):
            name = scan_name(number)
            # Results at its number are presumed to be its own until it is read.
            if name in taken or not _has_results(self._earlier.get(name)):
                name = self._folders.free(number, taken, self._earlier)
                rows[name] = {"scan": name, **self._named[number], "status": NOT_BEGUN}
            taken.add(name)
        return sorted(rows.values(), key=lambda row: (len(row["scan"]), row["scan"]))

    def next_name(self, scan: Scan | None = None) -> str:
        """The folder of the next input: with results of this scan if there is one, else free."""
        held = self._folders.holding(scan, self._begun, self._added) if scan else None
        return held or self._folders.free(self._begun, self._added, self._earlier)

    def add(self, results: ScanResults | None, refusal: Refusal | None) -> str:
        """Enter the results or the refusal of the next input; returns the name of its scan.

        A scan that is refused because a folder has its results (``output-exists``) gets no row:
        that of the results stays. The file is not written before ``save``.
        """
        row = dict(self._named[self._begun])
        if refusal is not None and refusal.code == "output-exists":
            self._begun += 1
            return refusal.path.name
        if refusal is not None:
            row |= {"status": REFUSED, **refusal.to_json()}
        elif results is not None:
            row |= {
                "status": results.status,
                "lesions": len(results.lesions),
                "diagnosis": results.diagnosis,
                "cautions": len(results.cautions),
            }
        name = results.folder.name if results else self._refused_before(row) or self.next_name()
        self._added[name] = {"scan": name, **row}
        self._begun += 1
        return name

    def _refused_before(self, row: Mapping[str, Any]) -> str | None:
        """The name of the input if an earlier command refused it in the same way."""
        return next(
            (
                name
                for name, each in self._earlier.items()
                if name not in self._added
                and row.items() <= (each | {"named_by": _as_named(each)}).items()
            ),
            None,
        )

    def save(self) -> None:
        """Write the file, atomically."""
        rows = [self._columns, *([row.get(name) for name in self._columns] for row in self.rows)]
        # Bytes of a path that are not UTF-8 are escaped.
        text = csv_text(rows).encode("utf-8", "backslashreplace").decode("utf-8")
        atomic_files.write_text(self.path, text)


def _as_named(row: Mapping[str, Any]) -> str:
    return str(row["named_by"]).removesuffix(EARLIER)


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

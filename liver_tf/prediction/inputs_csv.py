"""``inputs.csv``: which input became which scan, and what became of it.

As in a conversion, no path is stored: names of files and folders of an export often hold those of
patients, while all else beside the DICOM SEG names nobody. An input is told by where it was
named, so whoever has the command or the list can find it; paths are written if they are asked for.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from liver_tf import atomic_files
from liver_tf.export.scan_results import ScanResults
from liver_tf.prediction.named_scans import NamedScan
from liver_tf.refusals import Refusal

COLUMNS = ("scan", "named_by", "status", "lesions", "diagnosis")
COLUMNS += ("code", "expected", "came", "remedy")
REFUSED, NOT_BEGUN = "refused", "not-begun"


class InputsCsv:
    """The table of a command's inputs, brought up to date after every scan.

    It never takes the place of another: of several commands with one output folder the later write
    ``inputs-2.csv``, ``inputs-3.csv``, ...
    """

    def __init__(self, output: Path, inputs: Sequence[NamedScan], *, with_paths: bool) -> None:
        """Raises ``OSError`` where the table cannot be written."""
        self.path = _free_name(output)
        self._columns = (*COLUMNS, "path") if with_paths else COLUMNS
        self._rows = [
            {
                "scan": scan_name(number),
                "named_by": one.named_by,
                "status": NOT_BEGUN,
                "path": str(one.path),
            }
            for number, one in enumerate(inputs)
        ]
        self._save()

    def done(self, number: int, results: ScanResults) -> None:
        """Note the results of an input, counted from 0; raises ``OSError``."""
        self._rows[number] |= {
            "status": results.status,
            "lesions": str(results.lesions),
            "diagnosis": results.diagnosis,
        }
        self._save()

    def refused(self, number: int, refusal: Refusal) -> None:
        """Note a refusal of an input, counted from 0; raises ``OSError``."""
        self._rows[number] |= {"status": REFUSED, **refusal.to_json()}
        self._save()

    def _save(self) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, self._columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows)
        # A path that is no UTF-8 is written as the bytes that it has, escaped.
        told = text.getvalue().encode("utf-8", "backslashreplace").decode("utf-8")
        atomic_files.write_text(self.path, told)


def scan_name(number: int) -> str:
    """The folder of an input, counted from 0: ``scan-001``, ``scan-002``, ..."""
    return f"scan-{number + 1:03d}"


def _free_name(output: Path) -> Path:
    path, number = output / "inputs.csv", 2
    while path.exists():
        path, number = output / f"inputs-{number}.csv", number + 1
    return path

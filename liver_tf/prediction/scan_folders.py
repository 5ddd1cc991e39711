"""Which folder of an output an input gets: that of its finished results, or a free one."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Container
from pathlib import Path

from liver_tf.bounded_files import read_json
from liver_tf.ct.scan import Scan
from liver_tf.export.scan_results import JSON
from liver_tf.prediction.finished_scans import SCAN_HASH, scan_hash

_NAME = re.compile(r"scan-\d{3,}")


def scan_name(number: int) -> str:
    """The usual folder of an input, counted from 0: ``scan-001``, ``scan-002``, ..."""
    return f"scan-{number + 1:03d}"


class ScanFolders:
    """The folders of an output when a command starts; no other command writes to it."""

    def __init__(self, output: Path) -> None:
        self._names = {path.name for path in output.iterdir()} if output.is_dir() else set()
        self._by_hash: dict[str, list[str]] = {}
        for name in sorted(filter(_NAME.fullmatch, self._names), key=lambda name: int(name[5:])):
            # Anything else is no result of a scan that can be identified.
            with contextlib.suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
                self._by_hash.setdefault(read_json(output / name / JSON)[SCAN_HASH], []).append(
                    name
                )

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def holding(self, scan: Scan, number: int, taken: Container[str]) -> str | None:
        """The folder with results of a scan; of several, that of its number if it is one."""
        if not self._by_hash:
            return None
        names = [name for name in self._by_hash.get(scan_hash(scan), ()) if name not in taken]
        return scan_name(number) if scan_name(number) in names else next(iter(names), None)

    def free(self, number: int, taken: Container[str], listed: Container[str]) -> str:
        """The folder for an input without results: that of its number, or the next free one.

        Args:
          taken: Folders of other inputs of the command.
          listed: Folders that a table of inputs lists; only that of the input's number is reused.
        """
        name = scan_name(number)
        while name in self or name in taken:
            number += 1
            while scan_name(number) in listed:
                number += 1
            name = scan_name(number)
        return name

"""Which scans a command shall take: named one by one, and in a file with a path per line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from liver_tf.ct.input_file import require_file, unreadable
from liver_tf.refusals import Refusal


@dataclass(frozen=True)
class NamedScan:
    """A scan to be taken.

    Attributes:
      named_by: where it was named, e.g. ``--input 2`` or ``--input_list line 7``, both from 1.
    """

    path: Path
    named_by: str


def named_inputs(paths: Sequence[str], list_file: str | None) -> list[NamedScan]:
    """All paths in order: those named first, then those of the file.

    Empty lines and lines that begin with ``#`` are passed over. Paths that are not absolute count
    from the current folder, as those of ``find`` do. Raises ``Refusal`` ``file-missing``,
    ``file-unreadable`` and ``input-list-text``.
    """
    named = [NamedScan(Path(path), f"--input {number}") for number, path in enumerate(paths, 1)]
    if not list_file:
        return named
    path = require_file(list_file)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError:
        raise unreadable(path) from None
    except UnicodeDecodeError:
        lines = ["\0"]
    if any("\0" in line for line in lines):
        raise Refusal(
            "input-list-text",
            path,
            expected="text in UTF-8, a path a line",
            found="something else",
            remedy="Name scans themselves with --input; --input_list is a file of their paths.",
        )
    stripped = ((number, line.strip()) for number, line in enumerate(lines, 1))
    return named + [
        NamedScan(Path(line), f"--input_list line {number}")
        for number, line in stripped
        if line and not line.startswith("#")
    ]

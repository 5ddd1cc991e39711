"""Which scans a command shall take: named one by one, and in a file with a path per line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from liver_tf.ct.input_file import require_file, unreadable
from liver_tf.refusals import Refusal


def named_inputs(paths: Sequence[str], list_file: str | None) -> list[Path]:
    """All paths in order: those named first, then those of the file.

    Empty lines and lines that begin with ``#`` are passed over. Paths that are not absolute count
    from the current folder, as those of ``find`` do. Raises ``Refusal`` ``file-missing``,
    ``file-unreadable`` and ``input-list-text``.
    """
    named = [Path(path) for path in paths]
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
            came="something else",
            remedy="Name scans themselves with --input; --input_list is a file of their paths.",
        )
    stripped = (line.strip() for line in lines)
    return named + [Path(line) for line in stripped if line and not line.startswith("#")]

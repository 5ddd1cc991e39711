"""The scans named on the command line and in a list file (``--input``, ``--input_list``)."""

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from liver_tf.ct.input_file import require_file, unreadable
from liver_tf.folder_lock import is_around
from liver_tf.refusals import Refusal

LARGEST_LIST = 1 << 26


@dataclass(frozen=True)
class NamedScan:
    """The path of a scan, and where it was named: ``input 2``, ``input_list line 7``."""

    path: Path
    named_by: str


def named_scans(
    paths: Sequence[Path | str], list_file: Path | str | None = None
) -> list[NamedScan]:
    """The scans of ``--input``, then those of ``--input_list``, in the given order.

    A path with wildcards (``scans/*.nii.gz``) that does not exist stands for the paths that match,
    in alphabetical order. In the list file empty lines and lines starting with ``#`` are ignored.
    Relative paths start at the current folder.

    Raises:
      Refusal: ``file-missing``, ``file-unreadable``, ``input-list-text``.
    """
    matching = [match for path in paths for match in _matching(Path(path))]
    named = [NamedScan(path, f"input {number}") for number, path in enumerate(matching, 1)]
    return named + (_listed_scans(require_file(list_file)) if list_file else [])


def refuse_input_as_output(output: Path, scans: Sequence[NamedScan]) -> None:
    """Refuse (``output-is-input``) an output folder that is an input or around one."""
    for scan in scans:
        if is_around(output, scan.path):
            raise Refusal(
                "output-is-input",
                output,
                expected="an output folder that is no input, and not around one",
                found=f"the folder of {scan.named_by}, or one around it",
                remedy="Choose another --output.",
            )


def _matching(path: Path) -> list[Path]:
    """The path, or those that match it; a path that matches nothing is refused when it is read."""
    # Unlike Path.exists, False for a name that is too long.
    if os.path.exists(path) or not glob.has_magic(str(path)):
        return [path]
    return [Path(match) for match in sorted(glob.glob(str(path)))] or [path]


def _listed_scans(path: Path) -> list[NamedScan]:
    try:
        if path.stat().st_size > LARGEST_LIST:
            raise _not_text(path, f"more than {LARGEST_LIST >> 20} MiB")
        # Names may be any bytes, which are escaped as the operating system's interface does.
        text = path.read_text(encoding="utf-8-sig", errors="surrogateescape")
    except OSError:
        raise unreadable(path) from None
    if any(sign < " " and sign not in "\t\r\n" for sign in text):
        raise _not_text(path, "a binary file or another encoding")
    lines = ((number, line.strip()) for number, line in enumerate(text.split("\n"), 1))
    return [
        NamedScan(Path(line), f"input_list line {number}")
        for number, line in lines
        if line and not line.startswith("#")
    ]


def _not_text(path: Path, found: str) -> Refusal:
    return Refusal(
        "input-list-text",
        path,
        expected="UTF-8 text with one path per line",
        found=found,
        remedy="Name a scan itself with --input; --input_list is a text file of paths.",
    )

"""Opening and listing input files, with refusals for missing and unreadable ones."""

import os
from collections.abc import Iterator
from pathlib import Path

from liver_tf.ct.bad_input import bad_input
from liver_tf.refusals import Refusal

#: What a compressed file may grow to in memory: this, or this many times its size.
LARGEST_EXPANDED, LARGEST_RATIO = 1 << 30, 100


def require_file(path: Path | str) -> Path:
    """Return the path if it is a regular file.

    Devices, pipes and folders are refused as well: reading them could block.
    """
    path = Path(path)
    try:
        exists = path.is_file()
    except (OSError, ValueError):
        exists = False
    if not exists:
        raise bad_input("file-missing", path, "a regular file", "no file, or a folder or device")
    return path


def unreadable(path: Path) -> Refusal:
    """The refusal ``file-unreadable``."""
    return bad_input("file-unreadable", path, "a readable file", "an error of the operating system")


def read_start(path: Path, count: int) -> bytes:
    """The first ``count`` bytes of a file (fewer if it is shorter)."""
    try:
        with open(require_file(path), "rb") as stream:
            return stream.read(count)
    except OSError:
        raise unreadable(Path(path)) from None


def refuse_expansion(path: Path, expanded: int) -> None:
    """Refuse (``file-expands``) a small file of which ``expanded`` bytes would fill the memory.

    CT compresses to a third. Bytes that all are equal compress to a thousandth.
    """
    if expanded > max(LARGEST_EXPANDED, LARGEST_RATIO * path.stat().st_size):
        expected = f"at most {LARGEST_EXPANDED >> 30} GiB, or {LARGEST_RATIO} times the file"
        raise bad_input("file-expands", path, expected, f"{expanded / 2**30:.1f} GiB")


def files_below(folder: Path, refusals: list[Refusal]) -> Iterator[Path]:
    """All files below a folder, in order; hidden ones and links to folders are skipped.

    Args:
      refusals: Receives ``file-unreadable`` for every folder that cannot be entered.
    """

    def cannot_enter(error: OSError) -> None:
        refusals.append(unreadable(Path(error.filename or folder)))

    for parent, subfolders, names in os.walk(folder, onerror=cannot_enter):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        yield from (Path(parent) / name for name in sorted(names) if not name.startswith("."))

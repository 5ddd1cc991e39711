"""Opening an input file, or saying plainly why not."""

from __future__ import annotations

from pathlib import Path

from liver_tf.refusals import Refusal


def require_file(path: Path | str) -> Path:
    """The path, if a regular file is there; raises ``Refusal`` ``file-missing`` otherwise.

    Devices, pipes and folders are refused too: reading one could hang.
    """
    path = Path(path)
    try:
        found = path.is_file()
    except (OSError, ValueError):
        found = False
    if not found:
        raise Refusal(
            "file-missing",
            path,
            expected="a regular file",
            found="nothing, a folder or a device",
            remedy="Check the path and that the medium is mounted.",
        )
    return path


def unreadable(path: Path) -> Refusal:
    """Refusal for a file that the operating system does not let us read."""
    return Refusal(
        "file-unreadable",
        path,
        expected="a file that may be read",
        found="an error of the operating system",
        remedy="Check permissions and the disk.",
    )


def read_start(path: Path, count: int) -> bytes:
    """The first ``count`` bytes of a file (fewer if it is shorter)."""
    try:
        with open(require_file(path), "rb") as stream:
            return stream.read(count)
    except OSError:
        raise unreadable(Path(path)) from None

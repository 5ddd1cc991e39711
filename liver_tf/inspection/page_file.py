"""Checks the file for ``--html`` before hours of reading, and writes the page to it."""

import os
import tempfile
from pathlib import Path

from liver_tf.atomic_files import write_text
from liver_tf.refusals import Refusal

_ENDINGS = (".html", ".htm")


def require_page_file(path: Path) -> None:
    """Raise ``Refusal`` unless a page can be written to ``path``; leave nothing behind."""
    if path.suffix.lower() not in _ENDINGS:
        raise Refusal(
            "html-name",
            path,
            expected="a file name ending in .html for --html",
            found="another extension",
            remedy="Choose a name such as page.html; data files are never overwritten.",
        )
    if not path.parent.is_dir():
        raise Refusal(
            "html-folder",
            path,
            expected="an existing folder for --html",
            found="none with this name",
            remedy="Create the folder, or choose another.",
        )
    if path.is_dir():
        raise _unwritable(path, "a folder with this name")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise _unwritable(path, os.strerror(error.errno)) from None


def write_page(path: Path, text: str) -> None:
    """Write a page atomically; raise ``Refusal`` (``html-unwritable``) if that fails."""
    try:
        write_text(path, text)
    except OSError as error:
        raise _unwritable(path, os.strerror(error.errno)) from None


def _unwritable(path: Path, found: str) -> Refusal:
    return Refusal(
        "html-unwritable",
        path,
        expected="a writable file for --html",
        found=found,
        remedy="Check permissions and free space, or choose another file.",
    )

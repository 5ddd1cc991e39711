"""The file that a page is written to: whether it can be is told before hours of reading."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from liver_tf.atomic_files import write_text
from liver_tf.refusals import Refusal

_ENDINGS = (".html", ".htm")


def require_page_file(path: Path) -> None:
    """Raise ``Refusal`` unless a page can be written to ``path``; leaves nothing behind.

    Codes: ``html-name`` (another ending, which may be somebody's data), ``html-folder`` (no such
    folder), ``html-unwritable``.
    """
    if path.suffix.lower() not in _ENDINGS:
        raise Refusal(
            "html-name",
            path,
            expected="a file name that ends in .html",
            found="another ending",
            remedy="Give --html a name such as page.html; data are never written over.",
        )
    if not path.parent.is_dir():
        raise Refusal(
            "html-folder",
            path,
            expected="a folder that exists for --html",
            found="none of this name",
            remedy="Make the folder, or name another.",
        )
    if path.is_dir():
        raise _unwritable(path, "a folder of this name")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise _unwritable(path, os.strerror(error.errno)) from None


def write_page(path: Path, text: str) -> None:
    """Write a page whole; raises ``Refusal`` (``html-unwritable``) where the disk does not let."""
    try:
        write_text(path, text)
    except OSError as error:
        raise _unwritable(path, os.strerror(error.errno)) from None


def _unwritable(path: Path, found: str) -> Refusal:
    return Refusal(
        "html-unwritable",
        path,
        expected="a place for --html that takes a file",
        found=found,
        remedy="Mend that, or name another file.",
    )

"""A folder in which no file can be created, also for the user root."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path


def forbid_files_in(monkeypatch, folder: Path) -> None:
    """Let the creation of files in ``folder`` fail with "Permission denied"."""
    real_open, real_temporary = os.open, tempfile.TemporaryFile

    def denied(path) -> bool:
        return Path(os.fspath(path)).resolve() == folder.resolve()

    def open_(path, flags, *more, **options):
        if flags & os.O_CREAT and not isinstance(path, int) and denied(Path(path).parent):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real_open(path, flags, *more, **options)

    def temporary(*more, dir=None, **options):
        if dir is not None and denied(dir):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(dir))
        return real_temporary(*more, dir=dir, **options)

    monkeypatch.setattr(os, "open", open_)
    monkeypatch.setattr(tempfile, "TemporaryFile", temporary)

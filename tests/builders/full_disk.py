"""A disk that is full for one file: its partial file is ``/dev/full``."""

from __future__ import annotations

import os
from pathlib import Path

from liver_tf import atomic_files


def fill_for(monkeypatch, *names: str) -> None:
    """Let atomic writes to files of these names fail with "No space left on device"."""
    real = atomic_files._new_file

    def new_file(path: Path) -> int:
        if path.name.removeprefix(atomic_files.TEMPORARY_MARK) not in names:
            return real(path)
        path.symlink_to("/dev/full")
        return os.open(path, os.O_PATH | os.O_NOFOLLOW)

    monkeypatch.setattr(atomic_files, "_new_file", new_file)

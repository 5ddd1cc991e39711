"""Atomic writes: to a temporary name, synced, then renamed; and checksums of files."""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TEMPORARY_MARK = ".partial-"


@contextlib.contextmanager
def atomic_write(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on exit, sync that file and rename it to ``path``.

    If the body raises, the temporary file is removed and an existing ``path`` is kept. A killed
    process may leave a ``.partial-`` file, which readers ignore and the next write replaces.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f"{TEMPORARY_MARK}{path.name}"
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


@contextlib.contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield a new empty folder beside ``folder``; on exit, rename it to ``folder``.

    The body must sync the files that it writes; if it raises, the new folder is removed. ``folder``
    must not exist or be empty.
    """
    temporary = folder.parent / f"{TEMPORARY_MARK}{folder.name}"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(folder.parent)


def write_text(path: Path | str, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path | str, value: Any) -> None:
    """Write a JSON file atomically; raises ``ValueError`` for NaN, which JSON cannot represent."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def sha256_of(path: Path | str) -> str:
    """Hex SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Sync a folder's directory entries to the disk.

    Some file systems (CIFS, exFAT, VirtualBox) cannot: a power failure right after a write may then
    lose the new name, which is reported once.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in NOT_SUPPORTED:
            raise
        say_once(
            "This file system cannot sync folders: a power failure may lose the last files written."
        )
    finally:
        os.close(descriptor)


#: Errors of file systems that lack a function.
NOT_SUPPORTED = frozenset(
    (errno.EINVAL, errno.ENOTSUP, errno.EPERM, errno.ENOSYS, errno.ENOLCK, errno.EBADF)
)


#: Environment variable with the notes printed so far, which child processes inherit.
SAID = "LIVER_TF_SAID"


def say_once(text: str) -> None:
    """Print a lost guarantee on standard error, once in a process and those that it starts."""
    printed = os.environ.get(SAID, "")
    if text not in printed:
        os.environ[SAID] = printed + text
        print(f"note: {text}", file=sys.stderr)

"""Folder locks: one writer at a time. The lock is released when its process ends."""

import contextlib
import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from liver_tf.atomic_files import TEMPORARY_MARK, say_once
from liver_tf.disk_full import write_errors_as_refusals
from liver_tf.refusals import Refusal

#: Time for the child processes of a killed writer to end.
_WAIT_SECONDS = 2.0


@contextlib.contextmanager
def locked_folder(folder: Path) -> Iterator[int]:
    """Lock an existing folder; raises ``output-busy`` if another process holds the lock.

    Yields the descriptor of the lock. A child process that inherits it also holds the lock.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            _lock(descriptor)
        except BlockingIOError:
            raise Refusal(
                "output-busy",
                folder,
                expected="an output folder that no other process writes to",
                found="a folder that is in use",
                remedy="Wait until the other process ends, or choose another folder.",
            ) from None
        except OSError:
            say_once(
                "This file system has no locks: make sure that no other process writes to the "
                "same folder."
            )
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def held_alone(*folders: Path, written: bool = True) -> Iterator[None]:
    """Create and lock the folders that a command writes to; one that is named twice is locked once.

    Args:
      written: False for existing folders that may be read only.

    Raises:
      Refusal: ``output-busy``; as ``require_writable``.
    """
    with contextlib.ExitStack() as stack:
        for folder in dict.fromkeys(folder.resolve() for folder in folders):
            if written:
                require_writable(folder)
            with write_errors_as_refusals(folder):
                stack.enter_context(locked_folder(folder))
        yield


def require_writable(folder: Path) -> None:
    """Create a folder and a nameless file in it, before anything is computed for it.

    Raises:
      Refusal: as :func:`liver_tf.disk_full.write_errors_as_refusals`.
    """
    with write_errors_as_refusals(folder):
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(prefix=TEMPORARY_MARK, dir=folder).close()


def is_around(output: Path, path: Path) -> bool:
    """Whether an output folder is ``path`` or a folder around it, links resolved."""
    return path.resolve().is_relative_to(output.resolve())


def _lock(descriptor: int) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)

"""One writer a folder: a lock that ends with its process, however that ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from liver_tf.refusals import Refusal

#: Processes of a writer that was just killed get this long to end.
_PATIENCE_SECONDS = 2.0


@contextlib.contextmanager
def locked_folder(folder: Path) -> Iterator[int]:
    """Hold a folder that exists.

    Gives the descriptor of the lock: a child process that inherits it holds the folder too, as
    long as it lives.

    Raises:
      Refusal: ``output-busy`` where another process holds it.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            _lock(descriptor)
        except BlockingIOError:
            raise Refusal(
                "output-busy",
                folder,
                expected="a folder into which nobody else writes",
                found="one that another process is writing",
                remedy="Wait for it, or choose another folder.",
            ) from None
        except OSError:
            # A file system without locks: the user has to take care then.
            pass
        yield descriptor
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    ends = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > ends:
                raise
        time.sleep(0.05)

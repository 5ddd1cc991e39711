"""The folder of a record set while it is written: one writer, clear errors, no leftovers."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from liver_tf.atomic_files import TEMPORARY_MARK
from liver_tf.folder_lock import held_alone
from liver_tf.records.manifest import MANIFEST_NAME
from liver_tf.refusals import Refusal

MEMOS = ".cases"
FOLDS_NAME = "folds.json"

#: Shards and memos are called after the pseudonym of their case: nobody else's files are.
_OURS = re.compile(r"c-[0-9a-f]{16}\.(tfrecord|json)")
#: What the operating system says of a full disk, or a used-up quota.
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def begun_anew(output: Path) -> Iterator[None]:
    """Make the folder, hold it alone, and take away what says that it is a data set.

    Shards change from here on: without its manifest the folder is no data set. Complete shards
    stay.

    Raises:
      Refusal: ``output-busy`` where another process writes into the folder, else as
        :func:`written_or_refused`.
    """
    with written_or_refused(output):
        output.mkdir(parents=True, exist_ok=True)
        with held_alone(output):
            for name in (FOLDS_NAME, MANIFEST_NAME):
                (output / name).unlink(missing_ok=True)
            yield


@contextlib.contextmanager
def written_or_refused(output: Path) -> Iterator[None]:
    """Turn errors of writing into refusals that end a conversion.

    Raises:
      Refusal: ``disk-full``, or ``output-unwritable`` for other errors.
    """
    try:
        yield
    except OSError as error:
        raise _cannot_write(output, error.errno) from None


def _cannot_write(output: Path, number: int | None) -> Refusal:
    full = number in DISK_FULL
    return Refusal(
        "disk-full" if full else "output-unwritable",
        output,
        expected="an output folder that takes what is written",
        found=os.strerror(number) if number else "an error of the operating system",
        remedy=("Free some space" if full else "Mend that")
        + " and start again: complete shards are kept.",
    )


def sweep(output: Path, keep: Collection[str]) -> None:
    """Remove what earlier conversions left of cases that are not to be kept, and partial files.

    Only files that bear the names of our shards, memos and temporary files are touched.
    """
    for folder in (output, output / MEMOS):
        for path in list(folder.iterdir()) if folder.is_dir() else ():
            name = path.name.removeprefix(TEMPORARY_MARK)
            ours = _OURS.fullmatch(name) or name in (MANIFEST_NAME, FOLDS_NAME)
            partial = name != path.name
            if ours and (partial or (_OURS.fullmatch(name) and path.stem not in keep)):
                path.unlink(missing_ok=True)

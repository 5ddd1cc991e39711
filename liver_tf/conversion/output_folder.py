"""The folder of a record set while it is written: one writer, clear errors, no leftovers."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from liver_tf.atomic_files import TEMPORARY_MARK
from liver_tf.disk_full import write_errors_as_refusals
from liver_tf.folder_lock import locked_folder
from liver_tf.records.manifest import MANIFEST_NAME

MEMOS = ".cases"
FOLDS_NAME = "folds.json"

#: Shards and memos are called after the pseudonym of their case: nobody else's files are.
_OURS = re.compile(r"c-[0-9a-f]{16}\.(tfrecord|json)")


@contextlib.contextmanager
def begun_anew(output: Path) -> Iterator[None]:
    """Make the folder, hold it alone, and take away what says that it is a data set.

    Shards change from here on: without its manifest the folder is no data set. Complete shards
    stay.

    Raises:
      Refusal: ``output-busy`` where another process writes into the folder, else as
        :func:`liver_tf.disk_full.write_errors_as_refusals`.
    """
    with write_errors_as_refusals(output):
        output.mkdir(parents=True, exist_ok=True)
        with locked_folder(output):
            for name in (FOLDS_NAME, MANIFEST_NAME):
                (output / name).unlink(missing_ok=True)
            yield


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

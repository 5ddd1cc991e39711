"""The output folder of a conversion: one writer at a time, no leftovers."""

import contextlib
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from liver_tf.atomic_files import TEMPORARY_MARK, sync_folder
from liver_tf.disk_full import write_errors_as_refusals
from liver_tf.folder_lock import locked_folder, require_writable
from liver_tf.records.bad_records import bad_records
from liver_tf.records.manifest import MANIFEST_NAME

MEMOS = ".cases"
FOLDS_NAME = "folds.json"
#: Of the name of a case in that of the shard of its unlabelled slices.
NEIGHBOURS = ".neighbours"

#: Shards and memos are named after the pseudonym of their case.
_SHARD_OR_MEMO = re.compile(r"c-[0-9a-f]{16}(\.neighbours)?\.(tfrecord|json)")


@contextlib.contextmanager
def rewritten_folder(output: Path) -> Iterator[None]:
    """Create and lock the folder, and remove manifest and folds: it is no data set meanwhile.

    Raises:
      Refusal: ``output-busy`` if another process writes into the folder; ``output-foreign`` if it
        holds a ``manifest.json`` or ``folds.json`` of another program; else as
        :func:`liver_tf.disk_full.write_errors_as_refusals`.
    """
    require_writable(output)
    with write_errors_as_refusals(output), locked_folder(output):
        _refuse_foreign(output)
        sync_folder(output)  # reports what the file system lacks before workers start
        for name in (FOLDS_NAME, MANIFEST_NAME):
            (output / name).unlink(missing_ok=True)
        yield


def _refuse_foreign(output: Path) -> None:
    """Refuse to replace files that no conversion wrote."""
    manifest = output / MANIFEST_NAME
    if not (manifest.exists() or (output / FOLDS_NAME).exists()):
        return
    ours = (output / MEMOS).is_dir() or any(output.glob("*.tfrecord"))
    if not ours and not (manifest.is_file() and b'"schema"' in manifest.read_bytes()):
        expected = "a new folder or a record set"
        raise bad_records("output-foreign", output, expected, "files of another program")


def remove_leftovers(output: Path, keep: Collection[str]) -> None:
    """Remove partial files, and shards and memos whose stem is not in ``keep``; no others."""
    for folder in (output, output / MEMOS):
        for path in list(folder.iterdir()) if folder.is_dir() else ():
            name = path.name.removeprefix(TEMPORARY_MARK)
            partial = name != path.name
            if _SHARD_OR_MEMO.fullmatch(name):
                removable = partial or path.stem not in keep
            else:
                removable = partial and name in (MANIFEST_NAME, FOLDS_NAME)
            if removable:
                path.unlink(missing_ok=True)

"""Several scans one after the other: a bad one never stops the good ones, a full disk stops all."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from data_prep.cases import unexpected
from liver_tf.ct.input_file import unreadable
from liver_tf.inference.cascade import Cascade
from liver_tf.refusals import Refusal
from trainers.predicting import predict_scan

#: What the operating system says when there is no more room: disk, quota, limit of a file's size.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def predict_all(cascade: Cascade, inputs: Sequence[Path], output: Path, **options) -> int:
    """Results of each scan into ``scan-001``, ``scan-002``, ... of a folder, told as they come.

    A scan that is refused, or meets an error that nobody foresaw, does not touch the others. When
    the disk is full no further scan is begun. What could not be done is listed at the end.

    Args:
      options: of :func:`trainers.predicting.predict_scan`.

    Returns:
      The command's exit status: 0 where all went well, else 1.
    """
    names = [f"scan-{number:03d}" for number in range(1, len(inputs) + 1)]
    refused: dict[str, Refusal] = {}
    begun = 0
    for name, path in zip(names, inputs, strict=True):
        begun += 1
        try:
            print(predict_scan(cascade, path, output / name, **options), flush=True)
        except Exception as error:  # no scan may take the others with it
            refused[name] = _refusal_of(error, path, output / name)
            print(f"{name}: refused", file=sys.stderr)
            if refused[name].code == "disk-full":
                break
    for name, refusal in refused.items():
        print(f"{name}: {refusal.text_with_path()}", file=sys.stderr)
    if names[begun:]:
        print(
            f"the disk is full: {begun - len(refused)} of {len(names)} scans are done and whole, "
            f"{len(names) - begun} were not begun, from {names[begun]} on",
            file=sys.stderr,
        )
    return 1 if refused else 0


def _refusal_of(error: Exception, path: Path, folder: Path) -> Refusal:
    if isinstance(error, Refusal):
        return error
    if not isinstance(error, OSError):
        return unexpected(path, error)
    if str(error.filename or "").startswith(str(path)):
        return unreadable(path)
    full = error.errno in _FULL
    return Refusal(
        "disk-full" if full else "output-unwritable",
        folder,
        expected="an output folder that takes what is written",
        came=os.strerror(error.errno) if error.errno else "an error of the operating system",
        remedy=f"{'Free some space' if full else 'Mend that'} and give the same command again: the "
        "scans that are done are kept, and the others made.",
    )

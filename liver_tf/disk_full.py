"""Errors of files as refusals: ``disk-full``, ``output-unwritable``, ``file-access``."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from liver_tf.refusals import Refusal

#: No space on the disk, quota exceeded, file larger than the process or file system allows.
_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextlib.contextmanager
def disk_full_as_refusal() -> Iterator[None]:
    """Raise the refusal ``disk-full`` when the disk is full; other errors pass unchanged."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_FULL:
            raise
        raise write_refusal(error.filename, error) from error


@contextlib.contextmanager
def file_errors_as_refusals() -> Iterator[None]:
    """Raise a refusal for every ``OSError`` that names a file: ``disk-full`` or ``file-access``.

    For commands as a whole; errors that are expected have refusals of their own.
    """
    try:
        with disk_full_as_refusal():
            yield
    except OSError as error:
        if error.errno is None or not isinstance(error.filename, str):
            raise
        raise Refusal(
            "file-access",
            error.filename,
            expected="a file or folder that this command may use",
            found=os.strerror(error.errno),
            remedy="Check the path and its permissions, and run the same command again.",
        ) from error


@contextlib.contextmanager
def tensorflow_write_errors() -> Iterator[None]:
    """Raise TensorFlow's errors of writing a file as ``OSError``."""
    import tensorflow as tf

    try:
        yield
    except tf.errors.OpError as error:
        for number in (*_DISK_FULL, errno.EACCES, errno.EPERM, errno.EROFS):
            if os.strerror(number) in error.message:
                raise OSError(number, os.strerror(number)) from error
        raise


@contextlib.contextmanager
def write_errors_as_refusals(output: Path) -> Iterator[None]:
    """Raise a refusal for any ``OSError``: ``disk-full`` or ``output-unwritable``."""
    try:
        yield
    except OSError as error:
        raise write_refusal(output, error) from None


def write_refusal(output: Path | str | None, error: OSError) -> Refusal:
    """The refusal for an error of writing to ``output``."""
    found = os.strerror(error.errno) if error.errno else "an error of the operating system"
    if error.errno in _DISK_FULL:
        return Refusal(
            "disk-full",
            output,
            expected="enough free disk space",
            found=found,
            remedy="Free some space and run the same command again; finished results are kept.",
        )
    return Refusal(
        "output-unwritable",
        output,
        expected="an output folder that can be written",
        found=found,
        remedy="Make the folder writable, or choose another one.",
    )

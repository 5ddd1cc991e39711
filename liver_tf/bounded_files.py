"""JSON and ``.npz`` files, read with bounds on their memory (``docs/bad_input.md``)."""

import contextlib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: Bytes of a JSON file, and its values (commas, colons and opening brackets).
LARGEST_JSON, MOST_VALUES = 2**27, 2**23
#: Bytes of an array that is stored compressed: a slice of 8192 x 8192 float32.
LARGEST_ARRAY = 2**28
#: An archive that is read completely grows by more only if it is small.
LARGEST_RATIO = 100


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
      OSError: It cannot be read.
      ValueError: It is not JSON in UTF-8, or it is too large or nested too deeply.
    """
    with open(path, "rb") as file:
        return parse_json(file.read(LARGEST_JSON + 1))


def parse_json(text: bytes | str) -> Any:
    """The value of JSON; raises ``ValueError`` as ``read_json``."""
    data = text.encode() if isinstance(text, str) else text
    if len(data) > LARGEST_JSON or sum(map(data.count, (b",", b":", b"[", b"{"))) > MOST_VALUES:
        raise ValueError("more than a file of this program holds")
    try:
        return json.loads(data.decode("utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None


@contextlib.contextmanager
def open_npz(path: Path, *, completely: bool = False) -> Iterator[Any]:
    """The arrays of an archive by name, as of ``numpy.load`` without pickle.

    ``completely``: all arrays will be read, so the sum of their sizes is bounded too.

    Raises:
      OSError, ValueError, zipfile.BadZipFile and others: It cannot be read, or arrays are larger
        than this program writes them.
    """
    import numpy as np

    with zipfile.ZipFile(path) as archive:
        members = [each for each in archive.infolist() if each.compress_type != zipfile.ZIP_STORED]
    sizes = [each.file_size for each in members]
    total = max(LARGEST_ARRAY, LARGEST_RATIO * path.stat().st_size)
    if max(sizes, default=0) > LARGEST_ARRAY or (completely and sum(sizes) > total):
        raise ValueError("larger arrays than this program writes")
    try:
        with np.load(path, allow_pickle=False) as stored:
            yield stored
    except MemoryError:  # a shape that no memory can hold
        raise ValueError("an array that is too large") from None

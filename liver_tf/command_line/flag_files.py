"""Files of flags: one flag on each line, ``#`` starts a comment, files may name further files.

A file that the working folder does not have is looked up among those shipped with the package:
the protocols (``hier_freeze.flags`` and its siblings) and everything below ``flags/``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from liver_tf.options import OptionError

SHIPPED = Path(__file__).resolve().parents[1] / "flag_files"

_FLAG_FILE = re.compile(r"--?flagfile(?:=(.*))?")


def find_flag_file(name: str | Path) -> Path:
    """The flag file ``name``: a path, or else the path of a shipped file.

    Raises:
      OptionError: There is no such file.
    """
    path = Path(name).expanduser()
    for candidate in (path, SHIPPED / path):
        if candidate.is_file():
            return candidate
    shipped = ", ".join(sorted(file.name for file in SHIPPED.glob("*.flags")))
    raise OptionError("flagfile", f"no such file: {name}. Shipped protocols: {shipped}")


def read_flag_file(name: str | Path) -> tuple[str, ...]:
    """The flags in a file and in the files that it names, without comments.

    Raises:
      OptionError: A file is missing or is not text.
    """
    return tuple(_lines_of(find_flag_file(name), ()))


def expand_flag_files(arguments: Sequence[str]) -> list[str]:
    """Arguments with every ``--flagfile=NAME`` replaced by the flags in that file.

    Raises:
      OptionError: As ``read_flag_file``.
    """
    return list(_expanded(arguments, ()))


def _expanded(arguments: Sequence[str], above: tuple[Path, ...]) -> Iterator[str]:
    left = iter(arguments)
    for argument in left:
        match = _FLAG_FILE.fullmatch(argument)
        if match is None:
            yield argument
            continue
        name = next(left, None) if match[1] is None else match[1].strip()
        if not name:
            raise OptionError("flagfile", "expected the name of a file")
        yield from _lines_of(find_flag_file(name), above)


def _lines_of(path: Path, above: tuple[Path, ...]) -> Iterator[str]:
    if path.resolve() in above:
        raise OptionError("flagfile", f"{path} names itself, directly or through another file")
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError("flagfile", f"cannot read {path}: {error}") from None
    flags = [line for line in lines if line and not line.startswith(("#", "//"))]
    yield from _expanded(flags, (*above, path.resolve()))

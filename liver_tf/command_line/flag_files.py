"""Flag files: one flag per line, ``#`` starts a comment, ``--flagfile`` includes another file.

A file that does not exist in the working folder is looked up among those shipped with the package:
the protocols (``hier_freeze.flags`` etc.) and everything below ``flags/``.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from liver_tf.options import OptionError

SHIPPED = Path(__file__).resolve().parents[1] / "flag_files"

_FLAG_FILE = re.compile(r"--?flagfile(?:=(.*))?")


def find_flag_file(name: str | Path) -> Path:
    """The path of a flag file, or of the shipped file of that name; raises ``OptionError``."""
    path = Path(name).expanduser()
    for candidate in (path, SHIPPED / path):
        if candidate.is_file():
            return candidate
    shipped = ", ".join(sorted(file.name for file in SHIPPED.glob("*.flags")))
    raise OptionError("flagfile", f"no such file: {name}. Shipped protocols: {shipped}")


def read_flag_file(name: str | Path) -> tuple[str, ...]:
    """The flags in a file and in the files that it includes, without comments.

    Raises:
      OptionError: A file is missing, cannot be read, or includes itself.
    """
    return tuple(_lines_of(find_flag_file(name), ()))


def expand_flag_files(arguments: Sequence[str]) -> list[str]:
    """Replace every ``--flagfile=NAME`` by the flags in that file, as ``read_flag_file``."""
    return list(_expanded(arguments, ()))


def _expanded(arguments: Sequence[str], above: tuple[Path, ...]) -> Iterator[str]:
    remaining = iter(arguments)
    for argument in remaining:
        match = _FLAG_FILE.fullmatch(argument)
        if match is None:
            yield argument
            continue
        name = next(remaining, None) if match[1] is None else match[1].strip()
        if not name:
            raise OptionError("flagfile", "expected the name of a file")
        yield from _lines_of(find_flag_file(name), above)


def _lines_of(path: Path, above: tuple[Path, ...]) -> Iterator[str]:
    if path.resolve() in above:
        raise OptionError("flagfile", f"{path} includes itself, directly or through another file")
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError("flagfile", f"cannot read {path}: {error}") from None
    flags = [line for line in lines if line and not line.startswith(("#", "//"))]
    yield from _expanded(flags, (*above, path.resolve()))

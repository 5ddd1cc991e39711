"""Flag files: one flag per line, ``#`` starts a comment, ``--flagfile`` includes another file.

A file that does not exist in the working folder is looked up among those shipped with the package:
the protocols (``hier_freeze.flags`` etc.) and everything below ``flags/``.
"""

import codecs
import difflib
import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

from liver_tf.options import OptionError

#: Flag files that a command line may include, repetitions counted, and bytes of each.
MOST_FILES, LARGEST_FILE = 100, 2**20

SHIPPED = Path(__file__).resolve().parents[1] / "flag_files"

_FLAG_FILE = re.compile(r"--?flagfile(?:=(.*))?")


def find_flag_file(name: str | Path) -> Path:
    """The path of a flag file, or of the shipped file of that name; raises ``OptionError``."""
    path = Path(name).expanduser()
    for candidate in (path, SHIPPED / path):
        if candidate.is_file():
            return candidate
    # Not rglob(), which does not follow the links of a checkout.
    patterns = ("*.flags", "*/*.flags", "*/*/*.flags")
    files = [file.relative_to(SHIPPED).as_posix() for p in patterns for file in SHIPPED.glob(p)]
    near = sorted(file for file in files if Path(file).name == path.name)
    near = near or difflib.get_close_matches(path.name, files, n=1, cutoff=0.8)
    protocols = sorted(file for file in files if "/" not in file)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"Protocols: {', '.join(protocols)}."
    where = "" if path.is_absolute() else f", neither in {Path.cwd()} nor among the shipped files"
    raise OptionError("flagfile", f"no such file: {name}{where}. {hint}")


def read_flag_file(name: str | Path) -> tuple[str, ...]:
    """The flags in a file and in the files that it includes, without comments.

    Raises:
      OptionError: A file is missing, cannot be read, or includes itself.
    """
    return tuple(_lines_of(find_flag_file(name), (), count()))


def expand_flag_files(arguments: Sequence[str]) -> list[str]:
    """Replace every ``--flagfile=NAME`` by the flags in that file, as ``read_flag_file``."""
    return list(_expanded(arguments, (), count()))


def file_that_sets(flag: str, arguments: Sequence[str]) -> str:
    """The flag file that sets a flag; empty if none does, or if a later argument overrides it."""
    file = ""
    remaining = iter(arguments)
    for argument in remaining:
        match = _FLAG_FILE.fullmatch(argument)
        name = "" if match is None else (match[1] or next(remaining, "")).strip()
        set_here = read_flag_file(name) if name else [argument]
        names = {each.lstrip("-").partition("=")[0] for each in set_here}
        if names & {flag, f"no{flag}"}:
            file = name
    return file


def _expanded(
    arguments: Sequence[str], above: tuple[Path, ...], numbers: Iterator[int]
) -> Iterator[str]:
    remaining = iter(arguments)
    for argument in remaining:
        match = _FLAG_FILE.fullmatch(argument)
        if match is None:
            yield argument
            continue
        name = next(remaining, None) if match[1] is None else match[1].strip()
        if not name:
            raise OptionError("flagfile", "expected the name of a file")
        yield from _lines_of(find_flag_file(name), above, numbers)


def _lines_of(path: Path, above: tuple[Path, ...], numbers: Iterator[int]) -> Iterator[str]:
    # Files that each include another one twice would be read without end.
    if next(numbers) >= MOST_FILES:
        raise OptionError("flagfile", f"{path}: more than {MOST_FILES} files are included")
    if path.resolve() in above:
        raise OptionError("flagfile", f"{path} includes itself, directly or through another file")
    yield from _expanded(_flags_of(path), (*above, path.resolve()), numbers)


def _flags_of(path: Path) -> list[str]:
    """The flags in a file, checked line by line; a byte order mark of UTF-8 is ignored."""
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise OptionError("flagfile", f"cannot read {path}: {error.strerror}") from None
    if len(data) > LARGEST_FILE:
        raise OptionError("flagfile", f"{path} is larger than {LARGEST_FILE >> 20} MiB")
    flags = []
    # Not splitlines(), which also divides at form feeds and at line separators of Unicode.
    for number, raw in enumerate(data.removeprefix(codecs.BOM_UTF8).split(b"\n"), 1):
        try:
            line = raw.decode("utf-8").strip(" \t\r")
        except UnicodeDecodeError:
            line = "\0"
        if not line or line.startswith(("#", "//")):
            continue
        problem = _problem(line)
        if problem:
            raise OptionError("flagfile", f"{path}, line {number}: {problem}")
        flags.append(line)
    return flags


def _problem(line: str) -> str:
    """Why a line cannot be a flag; empty if it can."""
    if "\0" in line:
        return "expected text in UTF-8, found another encoding"
    kinds = _BLANKS if "/" in line else (*_BLANKS, "Pd")  # a path may contain any dash
    unusual = next((sign for sign in line if _is_unusual(sign, kinds)), "")
    if unusual:
        return (
            f"found {unicodedata.name(unusual, 'a control character')} (U+{ord(unusual):04X}); "
            "use an ordinary space, tab or hyphen"
        )
    if not line.startswith("-"):
        return "expected a flag that starts with --, or a comment that starts with #"
    return ""


#: Unicode categories of blanks, line separators and invisible characters; "Pd" are dashes.
_BLANKS = ("Zs", "Zl", "Zp", "Cc", "Cf")


def _is_unusual(sign: str, kinds: Sequence[str]) -> bool:
    return sign not in " \t-" and unicodedata.category(sign) in kinds

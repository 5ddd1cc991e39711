"""The file of pairs of cases that the leakage guard lets pass: ``--allow_pairs``."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from liver_tf.refusals import Refusal


def load_allowed(path: Path | None, known: Collection[str]) -> frozenset[frozenset[str]]:
    """Pairs of cases that may be alike: two case pseudonyms a line, with a comma; # comments.

    Raises ``Refusal`` ``allow-unreadable``, ``allow-line`` for a line that is no pair, and
    ``allow-unknown-case`` for a case that is not in ``known``. No path means no pairs.
    """
    if path is None:
        return frozenset()
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        raise _bad_allow_file("allow-unreadable", path, "a UTF-8 text file", "none") from None
    pairs = set()
    for number, line in enumerate(lines, 1):
        names = [name.strip() for name in line.partition("#")[0].split(",")]
        if names == [""]:
            continue
        if len(names) != 2 or not all(names) or names[0] == names[1]:
            expected = "two different cases, with a comma between them"
            raise _bad_allow_file("allow-line", path, expected, f"something else in line {number}")
        if not set(names) <= set(known):
            expected = "pseudonyms of cases that are compared here"
            raise _bad_allow_file("allow-unknown-case", path, expected, f"another in line {number}")
        pairs.add(frozenset(names))
    return frozenset(pairs)


def _bad_allow_file(code: str, path: Path, expected: str, found: str) -> Refusal:
    return Refusal(
        code,
        path,
        expected=expected,
        found=found,
        remedy="Write a line such as c-0123456789abcdef,c-fedcba9876543210 for every pair, with "
        "the names that python -m data_prep.check_leakage prints.",
    )

"""The file of pairs of cases that the leakage guard accepts (``--allow_pairs``)."""

from collections.abc import Collection
from pathlib import Path

from liver_tf.records.bad_records import bad_records


def load_allowed(path: Path | None, known: Collection[str]) -> frozenset[frozenset[str]]:
    """Read pairs of cases that may have similar slices; no pairs without a path.

    Each line holds two case pseudonyms, separated by a comma; text after # is ignored.

    Args:
      path: The file, or None.
      known: All cases that may occur in it.

    Raises:
      Refusal: ``allow-unreadable``, ``allow-line`` for a line that is not a pair,
        ``allow-unknown-case``.
    """
    if path is None:
        return frozenset()
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        expected = "a readable UTF-8 text file"
        raise bad_records("allow-unreadable", path, expected, "another file") from None
    pairs = set()
    for number, line in enumerate(lines, 1):
        names = [name.strip() for name in line.partition("#")[0].split(",")]
        if names == [""]:
            continue
        if len(names) != 2 or not all(names) or names[0] == names[1]:
            expected = "two different cases, separated by a comma, per line"
            raise bad_records("allow-line", path, expected, f"something else in line {number}")
        if not set(names) <= set(known):
            expected = "pseudonyms of the compared cases"
            raise bad_records("allow-unknown-case", path, expected, f"another in line {number}")
        pairs.add(frozenset(names))
    return frozenset(pairs)

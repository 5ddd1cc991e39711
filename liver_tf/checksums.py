"""One checksum over the files that decide an answer: ``SHA256SUMS`` of a run or a SavedModel.

The format is that of ``sha256sum``, so ``sha256sum -c SHA256SUMS`` checks a folder without this
program. It is written last. It detects damage and mixed files, not an attacker, who can write it
as well.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from liver_tf import atomic_files
from liver_tf.refusals import Refusal

SUMS = "SHA256SUMS"

#: A list of more bytes is not one of ours.
_LARGEST_BYTES = 2**20
COPY_AGAIN = "Copy the folder again from its source."
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


def write_sums(folder: Path, names: Iterable[str]) -> None:
    """Write the checksums of files, given by paths relative to ``folder``; others are kept."""
    try:
        sums = read_sums(folder) or {}
    except Refusal:
        sums = {}
    sums |= {name: atomic_files.sha256_of(folder / name) for name in names}
    text = "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))
    atomic_files.write_text(folder / SUMS, text)


def verify(folder: Path, *names: str, all_listed: bool = False, remedy: str = COPY_AGAIN) -> None:
    """Compare the named files with the list of their folder, and with ``all_listed`` all others.

    Folders of earlier versions have no list: this is reported once on standard error.

    Raises:
      Refusal: ``checksum-differs``: a file is changed, missing or not in the list, or the list is
        damaged.
    """
    sums = read_sums(folder)
    if sums is None:
        atomic_files.say_once(
            f"a network without {SUMS}, as earlier versions wrote it: changes of its description, "
            "post-processing or graph are not detected"
        )
        return
    for name in dict.fromkeys([*names, *(sums if all_listed else ())]):
        path = folder / name
        found = atomic_files.sha256_of(path) if path.is_file() else None
        if found != sums.get(name):
            kind = "a missing file" if found is None else "another SHA-256, or a file not in it"
            raise _refusal(path, kind, remedy)


def read_sums(folder: Path) -> dict[str, str] | None:
    """SHA-256 by name; None without a list. Raises ``Refusal`` as ``verify``."""
    path = folder / SUMS
    if not path.exists():
        return None
    lines: list[str] = []
    if path.is_file() and path.stat().st_size <= _LARGEST_BYTES:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    matches = [match for match in map(_LINE.fullmatch, lines) if match]
    if not lines or len(matches) < len(lines):
        raise _refusal(path, "a damaged list", COPY_AGAIN)
    return {match[2]: match[1] for match in matches}


def _refusal(path: Path, found: str, remedy: str) -> Refusal:
    expected = f"the files that {SUMS} of their folder lists"
    return Refusal("checksum-differs", path, expected=expected, found=found, remedy=remedy)

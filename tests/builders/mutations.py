"""Damage to files as caused by disks, networks, incomplete copies and text editors."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

import numpy as np

#: Headers are short but decisive, so half of the damage is done there.
HEADER = 700

_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")
_WRONG_NUMBERS = (b"0", b"-1", b"nan", b"inf", b"1e39", b"99999999999", b"1A", b"", b"-0.0", b"..")
_WRONG_BYTES = (
    b"\0",
    b"\xff",
    *(struct.pack("<h", value) for value in (0, -1, 1, 32767, -32768, 8192)),
    *(struct.pack(">h", value) for value in (1, 32767, 8192)),
    *(struct.pack("<i", value) for value in (0, -1, 1, 2**31 - 1, -(2**31), 2**24)),
    *(struct.pack("<f", value) for value in (0.0, -1.0, 1e-30, 3e38, np.inf, np.nan)),
    *(struct.pack("<d", value) for value in (0.0, 1e300, np.nan)),
    struct.pack("<q", 2**62),
)


def mutate(
    data: bytes, random: np.random.Generator, donor: bytes = b"", header: int = HEADER
) -> bytes:
    """A damaged copy of a file.

    Bytes are changed, removed, duplicated or overwritten with extreme values; numbers written as
    text are replaced; the end is truncated. The end of a ``donor`` may replace the end of the file,
    or a piece of it may be inserted. The copy can also turn out to be undamaged.
    """
    mutant = bytearray(data)
    damaged_length = min(len(data), header) if random.integers(2) else len(data)
    offset = int(random.integers(damaged_length)) if damaged_length else 0
    length = int(random.integers(1, 40))
    kind = random.integers(10 if donor else 8)
    if kind <= 1:
        for place in (
            random.integers(damaged_length, size=random.integers(1, 4)) if damaged_length else ()
        ):
            mutant[place] ^= int(random.integers(1, 256))
    elif kind == 2:
        del mutant[offset : offset + length]
    elif kind == 3:
        mutant[offset:offset] = mutant[offset : offset + length]
    elif kind == 4:
        del mutant[offset:]
    elif kind <= 6:
        # Fields of binary headers start at even offsets.
        value = _WRONG_BYTES[random.integers(len(_WRONG_BYTES))]
        mutant[offset & ~1 : (offset & ~1) + len(value)] = value
    elif kind == 7:
        _replace_number(mutant, damaged_length, random)
    elif kind == 8:
        mutant[offset:] = donor[int(random.integers(len(donor))) :]
    else:
        start = int(random.integers(min(len(donor), damaged_length) or 1))
        donor_part = donor[start : start + 10 * length]
        # Usually at its offset in the donor, so that header fields stay aligned.
        place = start if random.integers(4) else offset
        mutant[place : place + len(donor_part)] = donor_part
    return bytes(mutant)


def mutations(data: bytes, rounds: int, seed: int = 0) -> Iterator[bytes]:
    """Damaged copies of ``data``; undamaged copies are omitted."""
    random = np.random.default_rng(seed)
    for _ in range(rounds):
        mutant = mutate(data, random)
        if mutant != data:
            yield mutant


def _replace_number(mutant: bytearray, damaged_length: int, random: np.random.Generator) -> None:
    """Replace a number that is written as text, with or without a change of length."""
    matches = list(_NUMBER.finditer(bytes(mutant[:damaged_length])))
    if not matches:
        return
    match = matches[random.integers(len(matches))]
    value = _WRONG_NUMBERS[random.integers(len(_WRONG_NUMBERS))]
    if random.integers(2):  # keep the lengths in a binary header valid
        value = value[: len(match[0])].ljust(len(match[0]), b" ")
    mutant[match.start() : match.end()] = value

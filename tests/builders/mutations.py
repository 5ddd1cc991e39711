"""Damage to files: what disks, networks, half-finished copies and careless editors do to them."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

import numpy as np

#: Headers are short and decide most: half of the damage goes there.
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

    Bytes are changed, cut out, doubled or overwritten by extreme values; numbers written as text
    become others; the end is cut off. With a ``donor`` its end may follow the beginning, or a piece
    of it stand in the midst. The copy may come out undamaged.
    """
    mutant = bytearray(data)
    reach = min(len(data), header) if random.integers(2) else len(data)
    at = int(random.integers(reach)) if reach else 0
    length = int(random.integers(1, 40))
    kind = random.integers(10 if donor else 8)
    if kind <= 1:
        for place in random.integers(reach, size=random.integers(1, 4)) if reach else ():
            mutant[place] ^= int(random.integers(1, 256))
    elif kind == 2:
        del mutant[at : at + length]
    elif kind == 3:
        mutant[at:at] = mutant[at : at + length]
    elif kind == 4:
        del mutant[at:]
    elif kind <= 6:
        # Fields of binary headers lie at even places.
        value = _WRONG_BYTES[random.integers(len(_WRONG_BYTES))]
        mutant[at & ~1 : (at & ~1) + len(value)] = value
    elif kind == 7:
        _rewrite_a_number(mutant, reach, random)
    elif kind == 8:
        mutant[at:] = donor[int(random.integers(len(donor))) :]
    else:
        start = int(random.integers(min(len(donor), reach) or 1))
        piece = donor[start : start + 10 * length]
        # Mostly where it stood in the donor, so that fields stay fields.
        place = start if random.integers(4) else at
        mutant[place : place + len(piece)] = piece
    return bytes(mutant)


def mutations(data: bytes, rounds: int, seed: int = 0) -> Iterator[bytes]:
    """Damaged copies of ``data``; what came out undamaged is left out."""
    random = np.random.default_rng(seed)
    for _ in range(rounds):
        mutant = mutate(data, random)
        if mutant != data:
            yield mutant


def _rewrite_a_number(mutant: bytearray, reach: int, random: np.random.Generator) -> None:
    """Put another number in place of one that is written as text, of the same length or not."""
    found = list(_NUMBER.finditer(bytes(mutant[:reach])))
    if not found:
        return
    match = found[random.integers(len(found))]
    value = _WRONG_NUMBERS[random.integers(len(_WRONG_NUMBERS))]
    if random.integers(2):  # keeps the lengths in a binary header true
        value = value[: len(match[0])].ljust(len(match[0]), b" ")
    mutant[match.start() : match.end()] = value

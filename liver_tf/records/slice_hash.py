"""Which slices are the same picture: an identity digest and a perceptual hash of each slice.

The identity tells slices whose pixels are all equal. The perceptual hash tells slices that look
the same after a re-export: a little noise, a shift by a pixel, another matrix, a brightness off by
a few HU, JPEG, a flip. It is 256 signs of a cosine transform (Zauner, "Implementation and
benchmarking of perceptual image hash functions", 2010) of the slice averaged over 32 x 32 cells,
and two slices differ by the count of signs that differ. The coarsest frequencies are left out:
they draw the outline of a body, in which all abdomens agree. A flip turns the signs of the odd
frequencies along one axis and leaves the even ones, so the bits are sorted into words by odd and
even: the distance to a flipped slice follows from the same four counts.

What the hash does not see through: another field of view (zoom, crop), larger shifts and rotations.
``benchmarks/near_duplicates.py`` measures the distances from which the threshold was chosen.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from isal import isal_zlib

from liver_tf.ct.window import DEFAULT_WINDOW, apply_window

BITS = 256
CELLS = 32
#: Whether the frequencies down and across are odd, for each word of the hash.
WORDS = ((0, 0), (0, 1), (1, 0), (1, 1))
WORD_BITS = BITS // len(WORDS)
#: Frequencies of each word that are left out, the coarsest; among them the mean.
COARSEST = 10
#: Two slices whose hashes differ in this many bits or fewer are near-duplicates.
NEAR_BITS = 24
#: A slice whose cells vary less (standard deviation in HU) shows next to nothing: it has no
#: perceptual hash.
FLAT_HU = 20.0

NONE = "-"
_TEXT = re.compile(r"([0-9]{1,9}):([0-9a-f]{16}|-):([0-9a-f]{64}|-)")
#: How one slice may lie against the other, and the words whose signs that turns.
VIEWS = {
    "upright": (False, False, False, False),
    "flipped left to right": (False, True, False, True),
    "flipped front to back": (False, False, True, True),
    "turned by 180 degrees": (False, True, True, False),
}


@dataclass(frozen=True)
class SliceHashes:
    """The hashes of some slices, one row each.

    Attributes:
      index: int64 [slices], the slices' places in their case.
      identity: uint64 [slices]. has_identity: bool, false for slices of a single value.
      bits: uint64 [slices, 4]. has_bits: bool, false for slices without content.
    """

    index: np.ndarray
    identity: np.ndarray
    has_identity: np.ndarray
    bits: np.ndarray
    has_bits: np.ndarray

    def __len__(self) -> int:
        return len(self.index)


def hash_slice(image: np.ndarray, index: int) -> str:
    """``index:identity:perceptual`` of a slice, the hashes as 16 and 64 hex digits or ``-``.

    Args:
      image: int16 or float32 [rows, columns], HU clipped to the data set's window. For the
        perceptual hash they are clipped to the paper's window too.
      index: the slice's place in its case.
    """
    lowest, highest = image.min(), image.max()
    if lowest == highest:
        return f"{index}:{NONE}:{NONE}"
    if lowest < DEFAULT_WINDOW[0] or highest > DEFAULT_WINDOW[1]:
        windowed = apply_window(image)
    else:
        windowed = image
    cells = _bands(windowed) @ _shares(image.shape[1]).T
    # Quicker than ``std``.
    if float(np.square(cells - cells.mean()).mean()) < FLAT_HU**2:
        return f"{index}:{_identity(image)}:{NONE}"
    transform, chosen = _transform()
    spectrum = transform @ cells @ transform.T
    return f"{index}:{_identity(image)}:{np.packbits(spectrum.ravel()[chosen] > 0).tobytes().hex()}"


def slice_index(text: str) -> int:
    """The slice's place in its case, from the text of ``hash_slice``."""
    return int(text.partition(":")[0])


def parse_hashes(texts: Iterable[str]) -> SliceHashes:
    """The inverse of ``hash_slice`` for many slices; raises ``ValueError`` on anything else."""
    parts = [_TEXT.fullmatch(text) for text in texts]
    if not all(parts):
        raise ValueError("expected slice hashes as index:identity:perceptual")
    parts = [match.groups() for match in parts]
    bits = b"".join(bytes.fromhex("0" * (BITS // 4) if p[2] == NONE else p[2]) for p in parts)
    return SliceHashes(
        np.array([int(part[0]) for part in parts], np.int64),
        np.array([0 if p[1] == NONE else int(p[1], 16) for p in parts], np.uint64),
        np.array([part[1] != NONE for part in parts], bool),
        np.frombuffer(bits, np.uint64).reshape(len(parts), len(WORDS)),
        np.array([part[2] != NONE for part in parts], bool),
    )


def _identity(image: np.ndarray) -> str:
    """CRC-32 of the upper and of the lower half with the size, 16 hex digits.

    Equal for int16 and float32 of equal values. Not SHA-256, which takes many times as long:
    nobody forges slices here, and unrelated ones agree by chance once in 2**64.
    """
    if image.dtype != np.int16:
        whole = image.astype(np.int16)
        # Adding 0 makes of -0 a 0.
        image = whole if (whole == image).all() else image + np.float32(0)
    image = np.ascontiguousarray(image, image.dtype.newbyteorder("<"))
    size = isal_zlib.crc32(repr(image.shape).encode())
    half = image.shape[0] // 2
    upper, lower = (isal_zlib.crc32(part, size) for part in (image[:half], image[half:]))
    return f"{upper:08x}{lower:08x}"


def _bands(image: np.ndarray) -> np.ndarray:
    """[rows, columns] to float32 [32, columns]: means over bands of rows.

    The usual matrices divide evenly. Their rows are added as they are, in int16 where the sum of
    a band cannot pass it: several times faster than a product with the shares.
    """
    rows, columns = image.shape
    if rows % CELLS:
        return _shares(rows) @ image.astype(np.float32)
    each = rows // CELLS
    dtype = image.dtype
    if dtype == np.int16 and each * max(map(abs, DEFAULT_WINDOW)) > np.iinfo(np.int16).max:
        dtype = np.int32
    sums = np.add.reduce(image.reshape(CELLS, each, columns), axis=1, dtype=dtype)
    return sums.astype(np.float32) / np.float32(each)


@functools.lru_cache(maxsize=16)
def _shares(count: int) -> np.ndarray:
    """float32 [32, count]: the share that every row (or column) has in the mean of a band."""
    edges = np.arange(count + 1) * CELLS / count
    band = np.arange(CELLS)[:, None]
    overlap = np.minimum(edges[1:], band + 1) - np.maximum(edges[:-1], band)
    return np.maximum(overlap, 0).astype(np.float32)


@functools.cache
def _frequencies() -> tuple[np.ndarray, np.ndarray]:
    """Frequencies down and across of the hash's bits, int [256] each, in the order of ``WORDS``."""
    down, across = (axis.ravel() for axis in np.mgrid[:CELLS, :CELLS])
    order = np.argsort(down**2 + across**2, kind="stable")
    taken = []
    for odd_down, odd_across in WORDS:
        word = order[(down[order] % 2 == odd_down) & (across[order] % 2 == odd_across)]
        taken.append(word[COARSEST : COARSEST + WORD_BITS])
    chosen = np.concatenate(taken)
    return down[chosen], across[chosen]


@functools.cache
def _transform() -> tuple[np.ndarray, np.ndarray]:
    """The cosine transform up to the highest frequency used, and the places that make the hash."""
    down, across = _frequencies()
    highest = int(max(down.max(), across.max())) + 1
    # DCT-II; what all rows but the first are scaled by does not change a sign.
    matrix = np.cos(np.pi / CELLS * np.outer(np.arange(highest), np.arange(CELLS) + 0.5))
    return matrix.astype(np.float32), down * highest + across

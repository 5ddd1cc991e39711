"""Hashes of slices for the leakage guard: an identity digest and a perceptual hash.

The identity is equal for slices with equal pixels. The perceptual hash is similar for slices that
look the same after a re-export: slight noise, a shift by a pixel, another matrix, an offset of a
few HU, JPEG, a flip. It holds the signs of 256 coefficients of a cosine transform (Zauner,
"Implementation and benchmarking of perceptual image hash functions", 2010) of the slice averaged
over 32 x 32 cells; the distance of two slices is the number of differing signs. The lowest
frequencies are excluded: they describe the outline of the body, which is similar in all patients. A
flip inverts the signs of the odd frequencies along one axis, so the bits are grouped into words by
odd and even: the distance to a flipped slice follows from the same four counts.

The hash does not detect another field of view (zoom, crop), larger shifts, or rotations.
``benchmarks/near_duplicates.py`` measures the distances on which the threshold is based.
"""

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from isal import isal_zlib

from liver_tf.ct.window import DEFAULT_WINDOW, apply_window

BITS = 256
CELLS = 32
#: Whether the vertical and horizontal frequencies are odd, for each word of the hash.
WORDS = ((0, 0), (0, 1), (1, 0), (1, 1))
WORD_BITS = BITS // len(WORDS)
#: Lowest frequencies of each word that are excluded, with the mean among them.
COARSEST = 10
#: Two slices whose hashes differ in this many bits or fewer are near-duplicates.
NEAR_BITS = 24
#: A slice whose cells have a lower standard deviation (HU) has no perceptual hash: it is nearly
#: empty.
FLAT_HU = 20.0

NONE = "-"
_TEXT = re.compile(r"([0-9]{1,9}):([0-9a-f]{16}|-):([0-9a-f]{64}|-)")
#: Orientations of a slice relative to another, and the words whose signs they invert.
VIEWS = {
    "upright": (False, False, False, False),
    "flipped left to right": (False, True, False, True),
    "flipped front to back": (False, False, True, True),
    "turned by 180 degrees": (False, True, True, False),
}


@dataclass(frozen=True)
class SliceHashes:
    """The hashes of several slices, one row each.

    Attributes:
      index: int64 [slices], index of each slice in its case.
      identity: uint64 [slices].
      has_identity: bool [slices], False for slices with a single value.
      bits: uint64 [slices, 4].
      has_bits: bool [slices], False for slices that are nearly empty.
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
      image: int16 or float32 [rows, columns], HU clipped to the window of the data set. For the
        perceptual hash they are also clipped to the window of the paper.
      index: Of the slice in its case.
    """
    lowest, highest = image.min(), image.max()
    if lowest == highest:
        return f"{index}:{NONE}:{NONE}"
    if lowest < DEFAULT_WINDOW[0] or highest > DEFAULT_WINDOW[1]:
        windowed = apply_window(image)
    else:
        windowed = image
    cells = _bands(windowed) @ _shares(image.shape[1]).T
    # Faster than ``std``.
    if float(np.square(cells - cells.mean()).mean()) < FLAT_HU**2:
        return f"{index}:{_identity(image)}:{NONE}"
    transform, chosen = _transform()
    spectrum = transform @ cells @ transform.T
    return f"{index}:{_identity(image)}:{np.packbits(spectrum.ravel()[chosen] > 0).tobytes().hex()}"


def slice_index(text: str) -> int:
    """Index of the slice in its case, from the text of ``hash_slice``."""
    return int(text.partition(":")[0])


def parse_hashes(texts: Iterable[str]) -> SliceHashes:
    """The inverse of ``hash_slice`` for many slices; raises ``ValueError`` for other texts."""
    parts = []
    for text in texts:
        match = _TEXT.fullmatch(text)
        if match is None:
            raise ValueError("expected slice hashes as index:identity:perceptual")
        parts.append(match.groups())
    bits = b"".join(bytes.fromhex("0" * (BITS // 4) if p[2] == NONE else p[2]) for p in parts)
    return SliceHashes(
        np.array([int(part[0]) for part in parts], np.int64),
        np.array([0 if p[1] == NONE else int(p[1], 16) for p in parts], np.uint64),
        np.array([part[1] != NONE for part in parts], bool),
        np.frombuffer(bits, np.uint64).reshape(len(parts), len(WORDS)),
        np.array([part[2] != NONE for part in parts], bool),
    )


def _identity(image: np.ndarray) -> str:
    """CRC-32 of the upper and of the lower half, with the size: 16 hex digits.

    Equal for int16 and float32 of equal values. SHA-256 would take many times as long; forgery is
    no concern, and unrelated slices collide with probability 2**-64.
    """
    if image.dtype != np.int16:
        whole = image.astype(np.int16)
        # Adding 0 turns -0 into 0.
        image = whole if (whole == image).all() else image + np.float32(0)
    image = np.ascontiguousarray(image, image.dtype.newbyteorder("<"))
    size = isal_zlib.crc32(repr(image.shape).encode())
    half = image.shape[0] // 2
    upper, lower = (isal_zlib.crc32(part, size) for part in (image[:half], image[half:]))
    return f"{upper:08x}{lower:08x}"


def _bands(image: np.ndarray) -> np.ndarray:
    """[rows, columns] to float32 [32, columns]: means over bands of rows.

    The usual matrices divide evenly. Their rows are summed directly, in int16 if the sum of a band
    fits: several times faster than a matrix product.
    """
    rows, columns = image.shape
    if rows % CELLS:
        means: np.ndarray = _shares(rows) @ image.astype(np.float32)
        return means
    each = rows // CELLS
    dtype = image.dtype
    if dtype == np.int16 and each * max(map(abs, DEFAULT_WINDOW)) > np.iinfo(np.int16).max:
        dtype = np.dtype(np.int32)
    sums = np.add.reduce(image.reshape(CELLS, each, columns), axis=1, dtype=dtype)
    bands: np.ndarray = sums.astype(np.float32) / np.float32(each)
    return bands


@functools.lru_cache(maxsize=16)
def _shares(count: int) -> np.ndarray:
    """float32 [32, count]: the weight of each row (or column) in the mean of each band."""
    edges = np.arange(count + 1) * CELLS / count
    band = np.arange(CELLS)[:, None]
    overlap = np.minimum(edges[1:], band + 1) - np.maximum(edges[:-1], band)
    shares: np.ndarray = np.maximum(overlap, 0).astype(np.float32)
    return shares


@functools.cache
def _frequencies() -> tuple[np.ndarray, np.ndarray]:
    """Vertical and horizontal frequencies of the bits, int [256] each, ordered as ``WORDS``."""
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
    """The cosine transform up to the highest frequency used, and the indices of the hash bits."""
    down, across = _frequencies()
    highest = int(max(down.max(), across.max())) + 1
    # DCT-II without the scale of the rows, which does not change signs.
    matrix = np.cos(np.pi / CELLS * np.outer(np.arange(highest), np.arange(CELLS) + 0.5))
    return matrix.astype(np.float32), down * highest + across

"""Which of many slices are alike, by their hashes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from liver_tf.records.slice_hash import BITS, NEAR_BITS, VIEWS, WORD_BITS, SliceHashes

#: Pairs of slices compared at a time: what a processor's cache holds.
_BLOCK = 1 << 16

_Found = Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]


def identical_pairs(left: SliceHashes, right: SliceHashes) -> _Found:
    """Slices with equal identity, as ``near_pairs`` gives them; of the same hashes given twice each
    pair comes both ways, and each slice with itself.
    """
    rows, columns = np.flatnonzero(left.has_identity), np.flatnonzero(right.has_identity)
    columns = columns[np.argsort(right.identity[columns], kind="stable")]
    ordered = right.identity[columns]
    start = np.searchsorted(ordered, left.identity[rows], "left")
    counts = np.searchsorted(ordered, left.identity[rows], "right") - start
    offset = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    nothing = np.zeros(len(offset), np.int64)
    yield (
        np.repeat(rows, counts),
        columns[np.repeat(start, counts) + offset],
        nothing,
        nothing,
    )


def near_pairs(left: SliceHashes, right: SliceHashes, most: int = NEAR_BITS) -> _Found:
    """Slices whose perceptual hashes differ in ``most`` bits or fewer, seen any way.

    Yields rows of ``left``, rows of ``right``, distances in bits and places in ``VIEWS``, each
    int64 [pairs], block by block: memory does not grow with the counts of slices. Of the same
    hashes given twice every pair comes once, and none of a slice with itself.
    """
    rows, columns = np.flatnonzero(left.has_bits), np.flatnonzero(right.has_bits)
    words = np.ascontiguousarray(right.bits[columns].T)
    step = max(_BLOCK // max(len(columns), 1), 1)
    for first in range(0, len(rows), step):
        chosen = rows[first : first + step]
        start = first if left is right else 0
        best, view = _nearest_views(left.bits[chosen], words[:, start:])
        near = best <= most
        if left is right:
            near &= ~np.tri(*near.shape, dtype=bool)
        row, column = np.nonzero(near)
        if len(row):
            found = best[row, column], view[row, column]
            yield chosen[row], columns[start + column], *(part.astype(np.int64) for part in found)


def _nearest_views(left: np.ndarray, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bits that differ in the view that fits best, int16 [n, m], and its place in ``VIEWS``.

    Of uint64 [n, 4] and uint64 [4, m].
    """
    counts = [
        np.bitwise_count(left[:, word, None] ^ words[word]).astype(np.int16)
        for word in range(len(words))
    ]
    best = np.full(counts[0].shape, BITS + 1, np.int16)
    view = np.zeros(best.shape, np.int8)
    for number, turned in enumerate(VIEWS.values()):
        distance = sum(
            -count if turn else count for count, turn in zip(counts, turned, strict=True)
        )
        distance += np.int16(WORD_BITS * sum(turned))
        np.copyto(view, np.int8(number), where=distance < best)
        np.minimum(best, distance, out=best)
    return best, view

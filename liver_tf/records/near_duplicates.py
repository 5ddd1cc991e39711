"""Finding identical and nearly identical slices among many, by their hashes."""

from collections.abc import Iterator

import numpy as np

from liver_tf.records.slice_hash import BITS, NEAR_BITS, VIEWS, WORD_BITS, SliceHashes

#: Pairs of slices compared at a time, to fit the processor's cache.
_BLOCK = 1 << 16

#: Rows of ``left``, rows of ``right``, distances in bits, and indices in ``VIEWS``; int64 [pairs].
Pairs = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def identical_pairs(left: SliceHashes, right: SliceHashes) -> Iterator[Pairs]:
    """Slices with equal identity. Yields as :func:`near_pairs`.

    If ``left`` and ``right`` are the same object, every pair occurs in both orders, and every slice
    is paired with itself.
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


def near_pairs(left: SliceHashes, right: SliceHashes, most: int = NEAR_BITS) -> Iterator[Pairs]:
    """Slices whose perceptual hashes differ in at most ``most`` bits, in any view (flips).

    The pairs are yielded block by block, so memory does not grow with the number of slices. If
    ``left`` and ``right`` are the same object, every pair occurs once, and no slice is paired with
    itself.
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
            near &= ~np.tri(*near.shape, dtype=np.bool_)
        row, column = np.nonzero(near)
        if len(row):
            distances = best[row, column].astype(np.int64)
            views = view[row, column].astype(np.int64)
            yield chosen[row], columns[start + column], distances, views


def _nearest_views(left: np.ndarray, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number of differing bits in the best view, int16 [n, m], and its index in ``VIEWS``.

    Args:
      left: uint64 [n, 4].
      words: uint64 [4, m].
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

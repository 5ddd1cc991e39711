"""Connected components of volumes as a graph, so that the servable needs no code around it.

By the same rules as :mod:`liver_tf.inference.graph_components_2d`.
"""

from __future__ import annotations

import itertools

import tensorflow as tf

#: One of each pair of opposite neighbours among the 26: across a face, and the others.
_HALF = [step for step in itertools.product((-1, 0, 1), repeat=3) if step > (0, 0, 0)]
_FACES = [step for step in _HALF if sum(map(abs, step)) == 1]
_CORNERS = [step for step in _HALF if step not in _FACES]


def largest_component_3d(mask: tf.Tensor) -> tf.Tensor:
    """The largest of a volume's components, holes kept.

    Args:
      mask: bool [slices, rows, columns].

    Returns:
      bool of the same shape: of equally large components the one whose first voxel comes first;
      all False for an empty mask.
    """
    places, names = components_3d(mask)
    sizes = tf.math.unsorted_segment_sum(tf.ones_like(names), names, tf.size(names))
    # argmax takes the first of equals, and refuses to look for it among none.
    winner = tf.argmax(tf.concat([sizes, [0]], 0), output_type=tf.int32)
    kept = tf.boolean_mask(places, names == winner)
    return tf.scatter_nd(kept, tf.fill(tf.shape(kept)[:1], True), tf.shape(mask, tf.int64))


def largest_sections_3d(mask: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Places of the voxels inside, and pixels of the largest section of each one's component.

    Args:
      mask: bool [slices, rows, columns].

    Returns:
      int64 [voxels, 3] in C order; int32 [voxels].
    """
    places, names = components_3d(mask)
    slices = tf.shape(mask, tf.int64)[0]
    sections, _, sizes = tf.unique_with_counts(tf.cast(names, tf.int64) * slices + places[:, 0])
    of_components = tf.math.unsorted_segment_max(
        sizes, tf.cast(sections // tf.maximum(slices, 1), tf.int32), tf.size(names)
    )
    return places, tf.gather(of_components, names)


def components_3d(mask: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Places of the voxels inside, and for each the lowest number of a voxel of its component.

    Voxels inside are numbered in the order in which they lie. Neighbours of different numbers join
    by pointing the higher at the lower, and pointers are followed to their end each time
    (Shiloach, Vishkin, "An O(log n) parallel connectivity algorithm", 1982). First across faces,
    which joins nearly all of them.

    Args:
      mask: bool [slices, rows, columns]; 26 neighbours.

    Returns:
      int64 [voxels, 3] in C order; int32 [voxels].
    """
    places = tf.where(mask)
    names = tf.range(tf.shape(places)[0])
    beside = _Beside(places, tf.shape(mask, tf.int64))
    for steps in (_FACES, _CORNERS):
        names = _joined(names, *beside.pairs(steps, names))
    return places, names


def _joined(names: tf.Tensor, first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Names, int32 [voxels], after the voxels of all pairs have become of one name."""

    def apart(names: tf.Tensor) -> tf.Tensor:
        return tf.reduce_any(tf.gather(names, first) != tf.gather(names, second))

    def lowered(names: tf.Tensor) -> tuple[tf.Tensor]:
        one, other = tf.gather(names, first), tf.gather(names, second)
        known = tf.math.unsorted_segment_min(
            tf.tile(tf.minimum(one, other), [2]), tf.concat([one, other], 0), tf.size(names)
        )
        return (_settled(tf.minimum(names, known)),)

    return tf.while_loop(apart, lowered, (names,))[0]


def _settled(names: tf.Tensor) -> tf.Tensor:
    """Each voxel named as its name is named, to the end: only such names may be lowered."""
    return tf.while_loop(
        lambda now, after: tf.reduce_any(now != after),
        lambda now, after: (after, tf.gather(after, after)),
        (names, tf.gather(names, names)),
    )[0]


class _Beside:
    """Looks up the voxels beside those inside."""

    def __init__(self, places: tf.Tensor, size: tf.Tensor) -> None:
        # A border of zeros, so that no neighbour lies outside of the grid.
        wide = size + 2
        self._strides = tf.stack([wide[1] * wide[2], wide[2], tf.constant(1, tf.int64)])
        self._flat = tf.reduce_sum((places + 1) * self._strides, axis=1)
        numbers = tf.range(1, tf.shape(places)[0] + 1)
        self._grid = tf.scatter_nd(self._flat[:, None], numbers, [tf.reduce_prod(wide)])

    def pairs(
        self, steps: list[tuple[int, int, int]], names: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Numbers of neighbours that have different names: int32 [pairs] each."""
        first, second = [], []
        for step in steps:
            there = self._flat + tf.reduce_sum(tf.constant(step, tf.int64) * self._strides)
            beside = tf.gather(self._grid, there) - 1
            different = (beside >= 0) & (tf.gather(names, tf.maximum(beside, 0)) != names)
            first.append(tf.cast(tf.where(different)[:, 0], tf.int32))
            second.append(tf.boolean_mask(beside, different))
        return tf.concat(first, 0), tf.concat(second, 0)

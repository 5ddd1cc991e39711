"""Connected components of volumes as TensorFlow graphs, for export.

They follow the rules of :mod:`liver_tf.inference.largest_component_3d`.
"""

import itertools

import tensorflow as tf

#: One offset of each pair of opposite neighbours among the 26: across a face, and the others.
_HALF = [offset for offset in itertools.product((-1, 0, 1), repeat=3) if offset > (0, 0, 0)]
_FACES = [offset for offset in _HALF if sum(map(abs, offset)) == 1]
_CORNERS = [offset for offset in _HALF if offset not in _FACES]


def largest_component_3d(mask: tf.Tensor) -> tf.Tensor:
    """The largest component of a volume, holes not filled: bool [slices, rows, columns]."""
    places, names = components_3d(mask)
    sizes = tf.math.unsorted_segment_sum(tf.ones_like(names), names, tf.size(names))
    # argmax returns the first maximum, and fails on an empty tensor.
    winner = tf.argmax(tf.concat([sizes, [0]], 0), output_type=tf.int32)
    kept = tf.boolean_mask(places, names == winner)
    return tf.scatter_nd(kept, tf.fill(tf.shape(kept)[:1], True), tf.shape(mask, tf.int64))


def component_sizes_3d(
    mask: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """For each voxel of a mask the size of its component.

    Returns:
      Indices of the voxels, int64 [voxels, 3] in C order; int32 [voxels], pixels of the largest
      section in a slice; int64 [voxels], the first and the last slice.
    """
    places, names = components_3d(mask)
    slices = tf.shape(mask, tf.int64)[0]
    sections, _, sizes = tf.unique_with_counts(tf.cast(names, tf.int64) * slices + places[:, 0])
    of_components = tf.math.unsorted_segment_max(
        sizes, tf.cast(sections // tf.maximum(slices, 1), tf.int32), tf.size(names)
    )
    first = tf.math.unsorted_segment_min(places[:, 0], names, tf.size(names))
    last = tf.math.unsorted_segment_max(places[:, 0], names, tf.size(names))
    return places, *(tf.gather(each, names) for each in (of_components, first, last))


def components_3d(mask: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """For each voxel of a mask the lowest number of a voxel of its component (26 neighbours).

    Voxels are numbered in C order. Neighbours of different numbers join by pointing the higher at
    the lower, and pointers are followed to their end each time (Shiloach, Vishkin, "An O(log n)
    parallel connectivity algorithm", 1982). Across faces first, which joins nearly all of them.

    Returns:
      Indices of the voxels, int64 [voxels, 3] in C order; int32 [voxels].
    """
    places = tf.where(mask)
    # A border of zeros, so that no neighbour lies outside the grid.
    size = tf.shape(mask, tf.int64) + 2
    strides = tf.stack([size[1] * size[2], size[2], tf.constant(1, tf.int64)])
    flat = tf.reduce_sum((places + 1) * strides, axis=1)
    numbers = tf.range(1, tf.shape(places)[0] + 1)
    grid = tf.scatter_nd(flat[:, None], numbers, [tf.reduce_prod(size)])
    names = numbers - 1
    for offsets in (_FACES, _CORNERS):
        first, second = [], []
        for offset in offsets:
            neighbours = flat + tf.reduce_sum(tf.constant(offset, tf.int64) * strides)
            beside = tf.gather(grid, neighbours) - 1
            different = (beside >= 0) & (tf.gather(names, tf.maximum(beside, 0)) != names)
            first.append(tf.cast(tf.where(different)[:, 0], tf.int32))
            second.append(tf.boolean_mask(beside, different))
        names = _joined(names, tf.concat(first, 0), tf.concat(second, 0))
    return places, names


def _joined(names: tf.Tensor, first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Names with one name for the two voxels of each pair."""

    def lowered(names: tf.Tensor) -> tuple[tf.Tensor]:
        left, right = tf.gather(names, first), tf.gather(names, second)
        known = tf.math.unsorted_segment_min(
            tf.tile(tf.minimum(left, right), [2]), tf.concat([left, right], 0), tf.size(names)
        )
        return (_settled(tf.minimum(names, known)),)

    return tf.while_loop(
        lambda names: tf.reduce_any(tf.gather(names, first) != tf.gather(names, second)),
        lowered,
        (names,),
    )[0]


def _settled(names: tf.Tensor) -> tf.Tensor:
    """Follow each name to its end: only such names may be lowered."""
    return tf.while_loop(
        lambda now, after: tf.reduce_any(now != after),
        lambda now, after: (after, tf.gather(after, after)),
        (names, tf.gather(names, names)),
    )[0]

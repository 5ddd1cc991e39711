"""Connected components: the liver is the largest one (the paper's post-processing).

For volumes by runs, for single slices as a graph too, so that the servable needs no code around
it. Both follow the same rules: 26 (3-D) or 8 neighbours (2-D), of two components of equal
size the one whose first pixel comes first, and holes filled slice by slice.
"""

from __future__ import annotations

import cc3d
import numpy as np
import tensorflow as tf
from scipy import ndimage

from liver_tf.inference.pixel_runs import components, holes, painted, runs_of

#: A mask of more runs is noise; the library for voxels then needs less memory (some 100 bytes a run
#: here, 4 bytes a voxel there).
MOST_RUNS = 2_000_000


def largest_component(mask: np.ndarray, *, fill_holes: bool = True) -> np.ndarray:
    """The largest connected component of a volume.

    Memory beyond the mask is that of the answer and some MiB.

    Args:
      mask: bool [slices, rows, columns].
      fill_holes: fill holes, slice by slice: a lesion that the liver network leaves out is inside
        the liver.

    Returns:
      bool of the same shape; all False for an empty mask.
    """
    mask = np.asarray(mask, bool)
    runs = runs_of(mask, MOST_RUNS)
    if runs is None:
        return _largest_of_noise(mask, fill_holes)
    if not len(runs):
        return np.zeros(mask.shape, bool)
    names, count = components(runs)
    # argmax takes the first of equals, and components are numbered by their first pixels.
    largest = np.bincount(names, runs.length, minlength=count).argmax()
    kept = runs[names == largest]
    return painted(kept, holes(kept)) if fill_holes else painted(kept)


def _largest_of_noise(mask: np.ndarray, fill_holes: bool) -> np.ndarray:
    labelled, count = cc3d.connected_components(
        np.ascontiguousarray(mask), connectivity=26, return_N=True
    )
    sizes = np.zeros(count + 1, np.int64)
    for one in labelled:
        sizes += np.bincount(one.reshape(-1), minlength=count + 1)
    # The library too numbers components by their first pixels.
    kept = labelled == sizes[1:].argmax() + 1
    if fill_holes:
        for one in kept:
            one[:] = ndimage.binary_fill_holes(one)
    return kept


def largest_components_2d(masks: tf.Tensor) -> tf.Tensor:
    """The largest component of every slice by itself, holes filled, as a graph.

    Args:
      masks: bool [batch, rows, columns].

    Returns:
      bool of the same shape; all False where a mask is empty.
    """
    shape = tf.shape(masks)
    pixels = shape[1] * shape[2]
    flat, sizes = _names_and_sizes(masks)
    # argmax takes the first of equals; reversed, that is the highest name.
    winner = pixels - tf.argmax(tf.reverse(sizes[:, 1:], [1]), axis=1, output_type=tf.int32)
    return filled(tf.reshape(flat == winner[:, None], shape))


def sections(masks: tf.Tensor) -> tf.Tensor:
    """For every pixel of a mask the pixels of its component in the slice (8 neighbours), else 0.

    bool [batch, rows, columns] to int32 of the same shape, as a graph.
    """
    flat, sizes = _names_and_sizes(masks)
    own = tf.gather(sizes, flat, batch_dims=1)
    return tf.reshape(own, tf.shape(masks)) * tf.cast(masks, tf.int32)


def _names_and_sizes(masks: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """A name for every pixel, int32 [batch, pixels], and the pixels of every name, [batch, names].

    The first pixel has the highest number, and a component is named after its first pixel; 0 is
    the name of what is not in the mask.
    """
    shape = tf.shape(masks)
    pixels = shape[1] * shape[2]
    numbers = tf.reshape(tf.range(pixels, 0, -1), [1, shape[1], shape[2]])
    mask = tf.cast(masks, tf.float32)
    names = tf.cast(_spread(tf.cast(numbers, tf.float32) * mask, masks, square=True), tf.int32)
    flat = tf.reshape(names, [shape[0], pixels])
    keys = tf.reshape(flat + tf.range(shape[0])[:, None] * (pixels + 1), [-1])
    # Not unsorted_segment_sum, which takes OpenVINO seconds.
    none = tf.zeros([shape[0] * (pixels + 1)], tf.int32)
    sizes = tf.tensor_scatter_nd_add(none, keys[:, None], tf.ones_like(keys))
    return flat, tf.reshape(sizes, [shape[0], pixels + 1])


def _spread(values: tf.Tensor, inside: tf.Tensor, *, square: bool) -> tf.Tensor:
    """Let each pixel inside take the largest value it is connected to.

    A turn carries values to the ends of the runs of all rows, then of all columns, so that the
    turns are as many as a component has bends, not pixels.

    Args:
      values: float32 [batch, rows, columns], 0 outside and above 0 inside, or 0 there too.
      inside: bool of the same shape.
      square: 8 neighbours, else 4.
    """
    weight = tf.cast(inside, tf.float32)
    row_runs = _run_numbers(inside)
    column_runs = _run_numbers(tf.transpose(inside, [0, 2, 1]))

    def grown(now: tf.Tensor) -> tf.Tensor:
        now = _to_runs(now, row_runs) * weight
        turned = _to_runs(tf.transpose(now, [0, 2, 1]), column_runs)
        now = tf.transpose(turned, [0, 2, 1]) * weight
        if square:
            now = tf.nn.max_pool2d(now[..., None], 3, 1, "SAME")[..., 0] * weight
        return now

    _, values = tf.while_loop(
        lambda before, now: tf.reduce_any(before != now),
        lambda before, now: (now, grown(now)),
        (values - 1.0, values),
        shape_invariants=(tf.TensorShape([None] * 3), tf.TensorShape([None] * 3)),
    )
    return values


def _run_numbers(inside: tf.Tensor) -> tf.Tensor:
    """The number of each pixel's run in its row, int32 [batch * rows * columns]; outside, 0."""
    begins = inside & ~tf.pad(inside, [[0, 0], [0, 0], [1, 0]])[..., :-1]
    numbers = tf.cumsum(tf.reshape(tf.cast(begins, tf.int32), [-1]))
    return numbers * tf.reshape(tf.cast(inside, tf.int32), [-1])


def _to_runs(values: tf.Tensor, runs: tf.Tensor) -> tf.Tensor:
    """Give every pixel the largest value of its run."""
    flat = tf.reshape(values, [-1])
    largest = tf.math.unsorted_segment_max(flat, runs, tf.reduce_max(runs) + 1)
    return tf.reshape(tf.gather(largest, runs), tf.shape(values))


def filled(masks: tf.Tensor) -> tf.Tensor:
    """Fill what the border cannot reach through the background (4 neighbours), as a graph.

    bool [batch, rows, columns], every slice by itself.
    """
    outside = ~masks
    rows, columns = (tf.range(tf.shape(masks)[axis]) for axis in (1, 2))
    at_edge = [(places == 0) | (places == tf.size(places) - 1) for places in (rows, columns)]
    border = at_edge[0][:, None] | at_edge[1][None, :]
    seeds = tf.cast(outside & border, tf.float32)
    return ~(_spread(seeds, outside, square=False) > 0.5)


def widened(masks: tf.Tensor, pixels: int) -> tf.Tensor:
    """Masks grown by some pixels on all sides: bool [batch, rows, columns]."""
    grown = tf.nn.max_pool2d(tf.cast(masks, tf.float32)[..., None], 2 * pixels + 1, 1, "SAME")
    return grown[..., 0] > 0.5

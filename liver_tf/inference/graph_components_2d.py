"""Connected components of slices (8 neighbours) as TensorFlow graphs, for export.

They follow the rules of :mod:`liver_tf.inference.largest_component_3d`.
"""

import tensorflow as tf


def largest_components_2d(masks: tf.Tensor) -> tf.Tensor:
    """The largest component of each slice, holes filled: bool [batch, rows, columns]."""
    shape = tf.shape(masks)
    pixels = shape[1] * shape[2]
    flat, sizes = _names_and_sizes(masks)
    # argmax returns the first maximum; in reversed order that is the highest name.
    winner = pixels - tf.argmax(tf.reverse(sizes[:, 1:], [1]), axis=1, output_type=tf.int32)
    return fill_holes(tf.reshape(flat == winner[:, None], shape))


def component_sizes(masks: tf.Tensor) -> tf.Tensor:
    """Pixels of each pixel's component in its slice, 0 outside: int32 [batch, rows, columns]."""
    flat, sizes = _names_and_sizes(masks)
    of_pixels = tf.reshape(tf.gather(sizes, flat, batch_dims=1), tf.shape(masks))
    return of_pixels * tf.cast(masks, tf.int32)


def fill_holes(masks: tf.Tensor) -> tf.Tensor:
    """Fill background that is not connected to the slice's border (4 neighbours)."""
    outside = ~masks
    rows, columns = (tf.range(tf.shape(masks)[axis]) for axis in (1, 2))
    at_edge = [(index == 0) | (index == tf.size(index) - 1) for index in (rows, columns)]
    border = at_edge[0][:, None] | at_edge[1][None, :]
    seeds = tf.cast(outside & border, tf.float32)
    return ~(_spread(seeds, outside, square=False) > 0.5)


def grown(masks: tf.Tensor, pixels: int) -> tf.Tensor:
    """Grow masks, bool [batch, rows, columns], on all sides; a negative number shrinks them.

    The border of the image is not an edge of a mask: masks do not shrink there.
    """
    if not pixels:
        return masks
    side = 2 * abs(pixels) + 1
    larger = tf.cast(masks if pixels > 0 else ~masks, tf.float32)[..., None]
    larger = tf.nn.max_pool2d(larger, side, 1, "SAME")[..., 0] > 0.5
    return larger if pixels > 0 else ~larger


def _names_and_sizes(masks: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """A name for every pixel, int32 [batch, pixels], and pixels per name, int32 [batch, names].

    Pixels are numbered downwards, so a component's first pixel has its highest number, which is
    its name. The name of background is 0.
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
    """Propagate the largest value of each component to all its pixels.

    Each iteration covers the runs of all rows, then of all columns, so the number of iterations
    depends on a component's bends, not on its pixels. Values are 0 or more inside the mask and 0
    outside. ``square``: 8 neighbours, else 4.
    """
    weight = tf.cast(inside, tf.float32)
    row_runs, column_runs = _run_numbers(inside), _run_numbers(tf.transpose(inside, [0, 2, 1]))

    def grown(now: tf.Tensor) -> tf.Tensor:
        now = _largest_of_runs(now, row_runs) * weight
        turned = _largest_of_runs(tf.transpose(now, [0, 2, 1]), column_runs)
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
    """The number of each pixel's run in its row, int32 [batch * rows * columns]; outside 0."""
    begins = inside & ~tf.pad(inside, [[0, 0], [0, 0], [1, 0]])[..., :-1]
    numbers = tf.cumsum(tf.reshape(tf.cast(begins, tf.int32), [-1]))
    return numbers * tf.reshape(tf.cast(inside, tf.int32), [-1])


def _largest_of_runs(values: tf.Tensor, runs: tf.Tensor) -> tf.Tensor:
    """Give every pixel the largest value of its run."""
    flat = tf.reshape(values, [-1])
    largest = tf.math.unsorted_segment_max(flat, runs, tf.reduce_max(runs) + 1)
    return tf.reshape(tf.gather(largest, runs), tf.shape(values))

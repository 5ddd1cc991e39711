"""Resampling from a square region of a slice to the network's grid, and back.

Both directions are two small matrix products per slice: an output row is a weighted sum of input
rows, an output column one of input columns. This is cheap, allows a different region for every
slice of a batch, prevents aliasing, and runs unchanged in every executor of the exported graph.
Pixels outside the slice count as zero; callers shift HU so that zero is air.
"""

import tensorflow as tf


def weights(
    start: tf.Tensor, length: tf.Tensor, inputs: tf.Tensor | int, outputs: tf.Tensor | int
) -> tf.Tensor:
    """Matrix that resamples ``[start, start + length)`` of an axis of ``inputs`` to ``outputs``.

    A triangle filter: linear interpolation when enlarging, with its support widened by the factor
    when shrinking (no aliasing). Pixel i covers [i, i + 1).

    Args:
      start, length: float32 [batch], in input pixels; may extend beyond the axis.

    Returns:
      float32 [batch, outputs, inputs]. A row sums to 1, minus the part outside the axis.
    """
    inputs, outputs = tf.cast(inputs, tf.float32), tf.cast(outputs, tf.float32)
    step = (length / outputs)[:, None]
    centre = start[:, None] + (tf.range(outputs)[None, :] + 0.5) * step - 0.5
    reach = tf.maximum(step, 1.0)[:, :, None]
    distance = tf.abs(tf.range(inputs)[None, None, :] - centre[:, :, None]) / reach
    inside = tf.nn.relu(1.0 - distance)
    return inside / _full_sum(centre, reach)


def _full_sum(centre: tf.Tensor, reach: tf.Tensor) -> tf.Tensor:
    """Sum of the triangle over all pixels, including those outside the axis: [b, out, 1].

    Samples are summed over the widest filter of the batch, as there is no closed form for a
    triangle at an arbitrary offset from a pixel.
    """
    offset = (centre - tf.floor(centre))[:, :, None]
    half = tf.cast(tf.math.ceil(tf.reduce_max(reach)), tf.float32) + 1.0
    taps = tf.range(-half, half + 1.0)[None, None, :]
    return tf.reduce_sum(tf.nn.relu(1.0 - tf.abs(taps - offset) / reach), axis=-1, keepdims=True)


def take_region(images: tf.Tensor, box: tf.Tensor, size: int) -> tf.Tensor:
    """Resample a square region of each slice to ``size`` x ``size`` pixels.

    Args:
      images: float32 [batch, rows, columns]; outside counts as zero.
      box: float32 or int [batch, 3]: first row, first column, side, in pixels.

    Returns:
      float32 [batch, size, size].
    """
    box = tf.cast(box, tf.float32)
    rows = weights(box[:, 0], box[:, 2], tf.shape(images)[1], size)
    columns = weights(box[:, 1], box[:, 2], tf.shape(images)[2], size)
    return tf.matmul(tf.matmul(rows, images), columns, transpose_b=True)


def put_back(maps: tf.Tensor, box: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """Resample maps on the network's grid to the grid of the slice, zero outside the box.

    Args:
      maps: float32 [batch, size, size, channels], e.g. probabilities.
      box: [batch, 3] as in ``take_region``.

    Returns:
      float32 [batch, rows, columns, channels]: inside the box linear interpolation with repeated
      borders, so that probabilities still sum to one.
    """
    box = tf.cast(box, tf.float32)
    size = tf.shape(maps)[1]
    row_weights = _back_weights(box[:, 0], box[:, 2], rows, size)
    column_weights = _back_weights(box[:, 1], box[:, 2], columns, size)
    # einsum would choose the order of the products; this one keeps the larger product small.
    batch, channels = tf.shape(maps)[0], tf.shape(maps)[3]
    flat = tf.reshape(maps, [batch, size, size * channels])
    stretched = tf.reshape(tf.matmul(row_weights, flat), [batch, rows, size, channels])
    by_column = tf.reshape(tf.transpose(stretched, [0, 2, 1, 3]), [batch, size, rows * channels])
    pasted = tf.reshape(tf.matmul(column_weights, by_column), [batch, columns, rows, channels])
    return tf.transpose(pasted, [0, 2, 1, 3])


def _back_weights(
    start: tf.Tensor, length: tf.Tensor, pixels: tf.Tensor, size: tf.Tensor
) -> tf.Tensor:
    """Weights [batch, pixels, size] of each slice pixel; zero outside the box."""
    size = tf.cast(size, tf.float32)
    pixel = tf.range(tf.cast(pixels, tf.float32))[None, :]
    place = (pixel + 0.5 - start[:, None]) * (size / length[:, None]) - 0.5
    place_inside = tf.clip_by_value(place, 0.0, size - 1.0)
    distance = tf.abs(place_inside[:, :, None] - tf.range(size)[None, None, :])
    covered = (place > -0.5 - 1e-4) & (place < size - 0.5 + 1e-4)
    return tf.nn.relu(1.0 - distance) * tf.cast(covered, tf.float32)[:, :, None]


def take_labels(labels: tf.Tensor, box: tf.Tensor, size: int) -> tf.Tensor:
    """Labels of a square region by nearest neighbour; outside the slice is background.

    Args:
      labels: uint8 [rows, columns] of one slice.
      box: [3], as in ``take_region``.

    Returns:
      uint8 [size, size].
    """
    box = tf.cast(box, tf.float32)
    shape = tf.shape(labels)
    row, row_inside = _nearest(box[0], box[2], shape[0], size)
    column, column_inside = _nearest(box[1], box[2], shape[1], size)
    taken = tf.gather(tf.gather(labels, row), column, axis=1)
    inside = row_inside[:, None] & column_inside[None, :]
    return tf.where(inside, taken, tf.zeros_like(taken))


def _nearest(start, length, inputs, outputs: int):
    place = tf.cast(
        tf.floor(start + (tf.range(outputs, dtype=tf.float32) + 0.5) * (length / outputs)),
        tf.int32,
    )
    return tf.clip_by_value(place, 0, inputs - 1), (place >= 0) & (place < inputs)


def whole_slice_box(rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """The smallest centred square that contains the slice: float32 [3]."""
    rows, columns = tf.cast(rows, tf.float32), tf.cast(columns, tf.float32)
    side = tf.maximum(rows, columns)
    return tf.stack([(rows - side) / 2.0, (columns - side) / 2.0, side])

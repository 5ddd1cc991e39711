"""A whole scan through the cascade as one graph: ``Cascade.predict`` for the servable."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from liver_tf.inference import postprocessing
from liver_tf.inference.cascade import Cascade
from liver_tf.inference.graph_components_2d import filled
from liver_tf.inference.graph_components_3d import largest_component_3d, largest_sections_3d
from liver_tf.inference.liver_finder import BATCH
from liver_tf.inference.roi_box import paste, square_boxes
from liver_tf.labels import LIVER


def scan_by_graph(cascade: Cascade, hu: tf.Tensor, spacing_mm: tf.Tensor) -> dict[str, tf.Tensor]:
    """Liver, ROI and typed lesions of a scan whose slices belong together.

    Args:
      hu: int16 or float32 [slices, rows, columns], feet to head.
      spacing_mm: float32 [2], (row, column); 0 or NaN where unknown.

    Returns:
      ``label_map`` uint8 [slices, rows, columns]; ``liver_voxels`` int64; ``type_probabilities``
      float32 [types], the mean over the lesion voxels and networks, scaled to sum to one.
    """
    size = tf.shape(hu)[1:3]
    grids = _in_batches(hu, cascade.liver.mask_on_grid, tf.bool)
    grids = _in_batches(largest_component_3d(grids), filled, tf.bool)
    boxes, found, liver_voxels = _boxes(cascade, grids, size, spacing_mm)
    chosen = tf.where(found)[:, 0]
    labels, probabilities = _lesions(cascade, hu, boxes, grids, chosen)
    # A last slice without anything stands for all in which nothing was looked for.
    labels = tf.concat([labels, tf.zeros([1, size[0], size[1]], tf.uint8)], 0)
    place = tf.where(found, tf.cumsum(tf.cast(found, tf.int32)) - 1, tf.size(chosen))
    labels = tf.gather(labels, place)
    if cascade.how.least_area_mm2:
        labels, kept = _without_small(cascade, labels, grids, size, spacing_mm)
        probabilities = tf.boolean_mask(probabilities, kept)
    types = tf.reduce_sum(tf.cast(probabilities, tf.float32), axis=[0, 1])
    return {
        "label_map": labels,
        "liver_voxels": liver_voxels,
        "type_probabilities": tf.math.divide_no_nan(types, tf.reduce_sum(types)),
    }


def _in_batches(slices: tf.Tensor, function: Callable, dtype: tf.DType, rank: int = 3) -> tf.Tensor:
    """What a function makes of a batch of slices after the other, joined."""
    parts = (tf.shape(slices)[0] + BATCH - 1) // BATCH
    results = tf.TensorArray(dtype, parts, infer_shape=False, element_shape=[None] * rank)

    def one_more(number: tf.Tensor, results: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
        part = slices[number * BATCH : (number + 1) * BATCH]
        return number + 1, results.write(number, function(part))

    _, results = tf.while_loop(
        lambda number, _: number < parts, one_more, (0, results), parallel_iterations=1
    )
    return results.concat()


def _boxes(
    cascade: Cascade, grids: tf.Tensor, size: tf.Tensor, spacing_mm: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Boxes int32 [slices, 3], bool [slices] whether there is one, and the liver's voxels."""

    def own(grids: tf.Tensor) -> tf.Tensor:
        livers = cascade.liver.back(grids, size)
        spacings = tf.repeat(spacing_mm[None], tf.shape(grids)[0], axis=0)
        boxes, found = square_boxes(livers, spacings, cascade.rule)
        pixels = tf.math.count_nonzero(livers, axis=[1, 2], dtype=tf.int32)
        return tf.concat([boxes, tf.cast(found, tf.int32)[:, None], pixels[:, None]], axis=1)

    def union(grids: tf.Tensor) -> tf.Tensor:
        return tf.reduce_any(cascade.liver.back(grids, size), axis=0, keepdims=True)

    facts = _in_batches(grids, own, tf.int32, rank=2)
    voxels = tf.reduce_sum(tf.cast(facts[:, 4], tf.int64))
    if cascade.rule.extent != "volume":
        return facts[:, :3], facts[:, 3] > 0, voxels
    whole = tf.reduce_any(_in_batches(grids, union, tf.bool), axis=0, keepdims=True)
    box, found = square_boxes(whole, spacing_mm[None], cascade.rule)
    count = tf.shape(grids)[0]
    return tf.repeat(box, count, axis=0), tf.repeat(found, count), voxels


def _lesions(
    cascade: Cascade, hu: tf.Tensor, boxes: tf.Tensor, grids: tf.Tensor, chosen: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Labels uint8 [chosen slices, rows, columns] and float16 [lesion voxels, networks, types]."""
    size = tf.shape(hu)[1:3]
    parts = (tf.shape(chosen)[0] + BATCH - 1) // BATCH
    networks, types = len(cascade.lesions), len(cascade.label_set.lesions)
    # With room for an empty one, as nothing at all cannot be joined.
    labels = tf.TensorArray(
        tf.uint8, parts + 1, infer_shape=False, element_shape=[None, None, None]
    ).write(parts, tf.zeros([0, size[0], size[1]], tf.uint8))
    probabilities = tf.TensorArray(
        tf.float16, parts + 1, infer_shape=False, element_shape=[None, networks, types]
    ).write(parts, tf.zeros([0, networks, types], tf.float16))

    def one_more(number, labels, probabilities):
        own = chosen[number * BATCH : (number + 1) * BATCH]
        origin, found, of_types = cascade.labels_of_box(
            tf.gather(hu, own), tf.gather(boxes, own), tf.gather(grids, own)
        )
        return (
            number + 1,
            labels.write(number, paste(found, origin, size)),
            probabilities.write(number, of_types),
        )

    _, labels, probabilities = tf.while_loop(
        lambda number, *_: number < parts,
        one_more,
        (0, labels, probabilities),
        parallel_iterations=1,
    )
    return labels.concat(), probabilities.concat()


def _without_small(
    cascade: Cascade, labels: tf.Tensor, grids: tf.Tensor, size: tf.Tensor, spacing_mm: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Labels without lesions that are too small, and which lesion voxels were kept."""
    least = postprocessing.least_pixels(spacing_mm[None], cascade.how)[0]
    places, sections = largest_sections_3d(labels > LIVER)
    kept = sections >= least
    dropped = tf.boolean_mask(places, ~kept)
    small = tf.scatter_nd(dropped, tf.fill(tf.shape(dropped)[:1], True), tf.shape(labels, tf.int64))
    liver = _in_batches(grids, lambda own: cascade.liver.back(own, size), tf.bool)
    return tf.where(small, tf.cast(liver, tf.uint8) * LIVER, labels), kept

"""A scan through the cascade as one graph: ``Cascade.predict`` for the exported model."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from liver_tf.inference.cascade import Cascade
from liver_tf.inference.graph_components_2d import fill_holes
from liver_tf.inference.graph_components_3d import largest_component_3d, largest_sections_3d
from liver_tf.inference.roi_box import paste, square_boxes
from liver_tf.inference.slice_batches import BATCH
from liver_tf.inference.small_lesions import least_pixels
from liver_tf.labels import LIVER


def scan_by_graph(cascade: Cascade, hu: tf.Tensor, spacing_mm: tf.Tensor) -> dict[str, tf.Tensor]:
    """Liver, ROI and typed lesions of a scan.

    Args:
      cascade: Its networks are traced into the graph.
      hu: int16 or float32 [slices, rows, columns], from the feet to the head.
      spacing_mm: float32 [2], (row, column); 0 or NaN where unknown.

    Returns:
      ``label_map`` uint8 [slices, rows, columns]; ``liver_voxels`` int64; ``type_probabilities``
      float32 [types], the mean over the lesion voxels and networks, scaled to sum to 1.
    """
    size = tf.shape(hu)[1:3]
    grids = _in_batches(hu, cascade.liver.mask_on_grid, tf.bool)
    grids = _in_batches(largest_component_3d(grids), fill_holes, tf.bool)
    boxes, has_box, liver_voxels = _boxes(cascade, grids, size, spacing_mm)
    chosen = tf.where(has_box)[:, 0]
    labels, probabilities = _lesions(cascade, hu, boxes, grids, chosen)
    # An empty last slice stands for all slices without a box.
    labels = tf.concat([labels, tf.zeros([1, size[0], size[1]], tf.uint8)], 0)
    index = tf.where(has_box, tf.cumsum(tf.cast(has_box, tf.int32)) - 1, tf.size(chosen))
    labels = tf.gather(labels, index)
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
    """Apply a function to the slices batch by batch, and join the results."""
    parts = (tf.shape(slices)[0] + BATCH - 1) // BATCH
    results = tf.TensorArray(dtype, parts, infer_shape=False, element_shape=[None] * rank)

    def one_batch(number: tf.Tensor, results: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
        part = slices[number * BATCH : (number + 1) * BATCH]
        return number + 1, results.write(number, function(part))

    _, results = tf.while_loop(
        lambda number, _: number < parts, one_batch, (0, results), parallel_iterations=1
    )
    return results.concat()


def _boxes(
    cascade: Cascade, grids: tf.Tensor, size: tf.Tensor, spacing_mm: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Boxes int32 [slices, 3], whether there is one bool [slices], and voxels of the liver."""

    def boxes_and_pixels(grids: tf.Tensor) -> tf.Tensor:
        livers = cascade.liver.to_slices(grids, size)
        spacings = tf.repeat(spacing_mm[None], tf.shape(grids)[0], axis=0)
        boxes, found = square_boxes(livers, spacings, cascade.rule)
        pixels = tf.math.count_nonzero(livers, axis=[1, 2], dtype=tf.int32)
        return tf.concat([boxes, tf.cast(found, tf.int32)[:, None], pixels[:, None]], axis=1)

    def union(grids: tf.Tensor) -> tf.Tensor:
        return tf.reduce_any(cascade.liver.to_slices(grids, size), axis=0, keepdims=True)

    columns = _in_batches(grids, boxes_and_pixels, tf.int32, rank=2)
    voxels = tf.reduce_sum(tf.cast(columns[:, 4], tf.int64))
    if cascade.rule.extent != "volume":
        return columns[:, :3], columns[:, 3] > 0, voxels
    union_of_scan = tf.reduce_any(_in_batches(grids, union, tf.bool), axis=0, keepdims=True)
    box, found = square_boxes(union_of_scan, spacing_mm[None], cascade.rule)
    count = tf.shape(grids)[0]
    return tf.repeat(box, count, axis=0), tf.repeat(found, count), voxels


def _lesions(
    cascade: Cascade, hu: tf.Tensor, boxes: tf.Tensor, grids: tf.Tensor, chosen: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Labels uint8 [chosen slices, rows, columns] and float16 [lesion voxels, networks, types]."""
    size = tf.shape(hu)[1:3]
    parts = (tf.shape(chosen)[0] + BATCH - 1) // BATCH
    networks, types = len(cascade.lesion_networks), len(cascade.label_set.lesions)
    # With an empty last element, because an array without elements cannot be joined.
    labels = tf.TensorArray(
        tf.uint8, parts + 1, infer_shape=False, element_shape=[None, None, None]
    ).write(parts, tf.zeros([0, size[0], size[1]], tf.uint8))
    probabilities = tf.TensorArray(
        tf.float16, parts + 1, infer_shape=False, element_shape=[None, networks, types]
    ).write(parts, tf.zeros([0, networks, types], tf.float16))

    def one_batch(number, labels, probabilities):
        part = chosen[number * BATCH : (number + 1) * BATCH]
        origin, in_windows, of_types = cascade.labels_of_boxes(
            tf.gather(hu, part), tf.gather(boxes, part), tf.gather(grids, part)
        )
        return (
            number + 1,
            labels.write(number, paste(in_windows, origin, size)),
            probabilities.write(number, of_types),
        )

    _, labels, probabilities = tf.while_loop(
        lambda number, *_: number < parts,
        one_batch,
        (0, labels, probabilities),
        parallel_iterations=1,
    )
    return labels.concat(), probabilities.concat()


def _without_small(
    cascade: Cascade, labels: tf.Tensor, grids: tf.Tensor, size: tf.Tensor, spacing_mm: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Labels without small lesions, and which lesion voxels were kept (see ``small_lesions``)."""
    least = least_pixels(spacing_mm[None], cascade.how)[0]
    places, sections = largest_sections_3d(labels > LIVER)
    kept = sections >= least
    removed = tf.boolean_mask(places, ~kept)
    small = tf.scatter_nd(removed, tf.fill(tf.shape(removed)[:1], True), tf.shape(labels, tf.int64))
    liver = _in_batches(grids, lambda part: cascade.liver.to_slices(part, size), tf.bool)
    return tf.where(small, tf.cast(liver, tf.uint8) * LIVER, labels), kept

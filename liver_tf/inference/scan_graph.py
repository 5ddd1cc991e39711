"""A scan through the cascade as one graph: ``Cascade.predict`` for the exported model."""

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from liver_tf.inference.cascade import Cascade
from liver_tf.inference.graph_components_2d import fill_holes
from liver_tf.inference.graph_components_3d import (
    component_sizes_3d,
    components_3d,
    largest_component_3d,
)
from liver_tf.inference.roi_box import paste, square_boxes
from liver_tf.inference.slice_batches import BATCH
from liver_tf.inference.small_lesions import least_pixels
from liver_tf.labels import LIVER


def scan_by_graph(cascade: Cascade, hu: tf.Tensor, spacing_mm: tf.Tensor) -> dict[str, tf.Tensor]:
    """Liver, ROI and typed lesions of a scan.

    Args:
      cascade: Its networks are traced into the graph.
      hu: int16 or float32 [slices, rows, columns], from the feet to the head.
      spacing_mm: float32 [3], (slice, row, column); 0 or NaN where unknown.

    Returns:
      ``label_map`` uint8 [slices, rows, columns]; ``liver_voxels`` int64; ``probabilities`` float16
      [lesion voxels, networks, types] in C order; ``type_probabilities`` float32 [types], their
      mean, scaled to sum to 1.
    """
    size = tf.shape(hu)[1:3]
    side = cascade.liver.network.description.architecture.image_size
    no_grid = tf.zeros([0, side, side], tf.bool)
    (grids,) = _in_batches(hu, cascade.liver.mask_on_grid, no_grid)
    (grids,) = _in_batches(largest_component_3d(grids), fill_holes, no_grid)
    boxes, has_box, liver_voxels = _boxes(cascade, grids, size, spacing_mm[1:])
    chosen = tf.where(has_box)[:, 0]

    def labelled(part: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Label maps and probabilities of the lesion voxels of chosen slices."""
        origin, windows, of_types = cascade.labels_of_boxes(
            tf.gather(hu, part), tf.gather(boxes, part), tf.gather(grids, part)
        )
        return paste(windows, origin, size), of_types

    no_slice = tf.zeros([0, size[0], size[1]], tf.uint8)
    no_voxel = cascade.no_probabilities()
    labels, probabilities = _in_batches(chosen, labelled, no_slice, no_voxel)
    # An empty last slice stands for all slices without a box.
    labels = tf.concat([labels, tf.zeros([1, size[0], size[1]], tf.uint8)], 0)
    index = tf.where(has_box, tf.cumsum(tf.cast(has_box, tf.int32)) - 1, tf.size(chosen))
    labels = tf.gather(labels, index)
    if cascade.how.least_area_mm2 or cascade.how.least_height:
        labels, kept = _without_small(cascade, labels, grids, size, spacing_mm)
        probabilities = tf.boolean_mask(probabilities, kept)
    types = tf.reduce_sum(tf.cast(probabilities, tf.float32), axis=[0, 1])
    return {
        "label_map": labels,
        "liver_voxels": liver_voxels,
        "probabilities": probabilities,
        "type_probabilities": tf.math.divide_no_nan(types, tf.reduce_sum(types)),
    }


def one_type_per_lesion(
    labels: tf.Tensor, probabilities: tf.Tensor, type_threshold: float
) -> tf.Tensor:
    """A label map in which every voxel of a lesion has the type of the lesion, as a graph.

    As ``find_lesions`` and ``ScanFindings.with_one_type_per_lesion``: indeterminate lesions have
    the label after that of the last type.

    Args:
      labels: uint8 [slices, rows, columns].
      probabilities: [lesion voxels, networks, types], in C order.
    """
    places, names = components_3d(labels > LIVER)
    types = probabilities.shape[-1]
    of_voxels = tf.reduce_mean(tf.cast(probabilities, tf.float32), axis=1)
    sums = tf.math.unsorted_segment_sum(of_voxels, names, tf.size(names))
    shares = tf.math.divide_no_nan(sums, tf.reduce_sum(sums, axis=1, keepdims=True))
    sure = tf.reduce_max(shares, axis=1) >= type_threshold
    best = tf.where(sure, tf.argmax(shares, axis=1, output_type=tf.int32), types) + LIVER + 1
    values = tf.cast(tf.gather(best, names), tf.uint8)
    return tf.tensor_scatter_nd_update(labels, places, values)


def _in_batches(items: tf.Tensor, function: Callable, *none: tf.Tensor) -> list[tf.Tensor]:
    """Apply a function to items batch by batch, and join its results.

    ``none`` are the results for no items; without them an array of no batches could not be joined.
    """
    parts = (tf.shape(items)[0] + BATCH - 1) // BATCH
    arrays = [
        tf.TensorArray(
            each.dtype, parts + 1, infer_shape=False, element_shape=[None, *each.shape[1:]]
        ).write(parts, each)
        for each in none
    ]

    def one_batch(number: tf.Tensor, *arrays: tf.TensorArray) -> tuple[Any, ...]:
        results = tf.nest.flatten(function(items[number * BATCH : (number + 1) * BATCH]))
        written = [a.write(number, result) for a, result in zip(arrays, results, strict=True)]
        return number + 1, *written

    _, *arrays = tf.while_loop(
        lambda number, *_: number < parts, one_batch, (0, *arrays), parallel_iterations=1
    )
    return [array.concat() for array in arrays]


def _boxes(
    cascade: Cascade, grids: tf.Tensor, size: tf.Tensor, spacing_mm: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Boxes int32 [slices, 3], whether there is one bool [slices], and voxels of the liver."""

    def boxes_and_pixels(grids: tf.Tensor) -> tuple[tf.Tensor, ...]:
        livers = cascade.liver.to_slices(grids, size)
        spacings = tf.repeat(spacing_mm[None], tf.shape(grids)[0], axis=0)
        pixels = tf.math.count_nonzero(livers, axis=[1, 2])
        return *square_boxes(livers, spacings, cascade.rule), pixels

    def union(grids: tf.Tensor) -> tf.Tensor:
        return tf.reduce_any(cascade.liver.to_slices(grids, size), axis=0, keepdims=True)

    boxes, has_box, pixels = _in_batches(
        grids,
        boxes_and_pixels,
        *(tf.zeros([0, 3], tf.int32), tf.zeros([0], tf.bool), tf.zeros([0], tf.int64)),
    )
    voxels = tf.reduce_sum(pixels)
    if cascade.rule.extent != "volume":
        return boxes, has_box, voxels
    (unions,) = _in_batches(grids, union, tf.zeros([0, size[0], size[1]], tf.bool))
    union_of_scan = tf.reduce_any(unions, axis=0, keepdims=True)
    box, found = square_boxes(union_of_scan, spacing_mm[None], cascade.rule)
    count = tf.shape(grids)[0]
    return tf.repeat(box, count, axis=0), tf.repeat(found, count), voxels


def _without_small(
    cascade: Cascade, labels: tf.Tensor, grids: tf.Tensor, size: tf.Tensor, spacing_mm: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Labels without small and flat lesions, and which lesion voxels were kept.

    See ``small_lesions``. ``spacing_mm`` float32 [3].
    """
    places, sections, first, last = component_sizes_3d(labels > LIVER)
    kept = sections >= least_pixels(spacing_mm[None, 1:], cascade.how)[0]
    between, down, across = tf.unstack(tf.cast(spacing_mm, tf.float64))
    diameters = 2.0 * tf.sqrt(tf.cast(sections, tf.float64) * down * across / math.pi)
    heights = tf.cast(last - first + 1, tf.float64) * between
    at_the_end = (first == 0) | (last == tf.shape(labels, tf.int64)[0] - 1)
    unknown = ~tf.reduce_all(spacing_mm > 0.0)
    kept &= at_the_end | unknown | (heights >= cascade.how.least_height * diameters)
    removed = tf.boolean_mask(places, ~kept)
    small = tf.scatter_nd(removed, tf.fill(tf.shape(removed)[:1], True), tf.shape(labels, tf.int64))
    no_slice = tf.zeros([0, size[0], size[1]], tf.bool)
    (liver,) = _in_batches(grids, lambda part: cascade.liver.to_slices(part, size), no_slice)
    return tf.where(small, tf.cast(liver, tf.uint8) * LIVER, labels), kept

"""Label maps of single slices, computed by the graph that is exported."""

import functools

import numpy as np
import tensorflow as tf

from liver_tf.inference.slice_batches import SliceGraph


@functools.cache
def _graph(cascade):
    return SliceGraph(cascade.slice_by_slice, tf.TensorSpec([None, 2], tf.float32))


def label_maps(cascade, hu, spacing_mm):
    """uint8 [slices, rows, columns]; ``spacing_mm`` is [slices, 2], NaN or 0 where unknown."""
    return _graph(cascade)(hu, np.asarray(spacing_mm, np.float32))["label_map"].numpy()

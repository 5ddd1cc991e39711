"""Components of volumes as a graph, against NumPy."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from liver_tf.inference.graph_components_3d import component_sizes_3d, largest_component_3d
from liver_tf.inference.largest_component_3d import largest_component

_MASKS = [tf.TensorSpec([None, None, None], tf.bool)]
largest = tf.function(largest_component_3d, input_signature=_MASKS)
sizes = tf.function(component_sizes_3d, input_signature=_MASKS)


@pytest.mark.parametrize("density", [0.0, 0.05, 0.12, 0.15, 0.2, 0.5, 1.0])
def test_the_largest_component_equals_numpy(density):
    for seed in range(12):
        mask = np.random.default_rng(seed).random((9, 17, 14)) < density
        expected = largest_component(mask, fill_holes=False)
        np.testing.assert_array_equal(largest(tf.constant(mask)).numpy(), expected)


def test_a_snake_is_one_component():
    mask = np.zeros((31, 20, 21), bool)
    mask[::2, ::2] = True
    mask[::2, 1::4, 0] = mask[::2, 3::4, 20] = True
    mask[1::4, 0, 0] = mask[3::4, -2, -1] = True
    assert ndimage.label(mask, np.ones((3, 3, 3)))[1] == 1
    np.testing.assert_array_equal(largest(tf.constant(mask)).numpy(), mask)


def test_sections_and_slices_equal_scipy():
    for seed in range(8):
        mask = np.random.default_rng(seed).random((6, 12, 13)) < 0.08
        places, areas, first, last = (each.numpy() for each in sizes(tf.constant(mask)))
        np.testing.assert_array_equal(places, np.argwhere(mask))
        labelled, count = ndimage.label(mask, np.ones((3, 3, 3)))
        per_slice = np.stack([np.bincount(each.ravel(), minlength=count + 1) for each in labelled])
        np.testing.assert_array_equal(areas, per_slice.max(axis=0)[labelled[mask]])
        found = ndimage.find_objects(labelled)
        ends = np.array([(part[0].start, part[0].stop - 1) for part in found])[labelled[mask] - 1]
        np.testing.assert_array_equal(np.stack([first, last], axis=1), ends)

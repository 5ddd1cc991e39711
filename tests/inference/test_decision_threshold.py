"""Decision threshold and filled holes, worked by hand."""

import numpy as np
import tensorflow as tf

from liver_tf.inference.decision_threshold import decide
from liver_tf.inference.postprocessing import NOTHING, PostProcessing


def decided(probabilities, how, inside=None):
    inside = None if inside is None else tf.constant(inside)
    return decide(tf.constant(probabilities, tf.float32), inside, how).numpy()


def test_thresholds_by_hand():
    # background, liver, cyst, hemangioma
    row = [[0.0, 0.4, 0.35, 0.25], [0.5, 0.2, 0.3, 0.0], [0.1, 0.1, 0.0, 0.8], [0.0] * 4]
    probabilities = [[row]]
    assert decided(probabilities, NOTHING).tolist() == [[[1, 0, 3, 0]]]
    how = PostProcessing(lesion_probability=0.6)
    assert decided(probabilities, how).tolist() == [[[2, 0, 3, 0]]]
    how = PostProcessing(lesion_probability=0.3)
    assert decided(probabilities, how).tolist() == [[[2, 2, 3, 0]]]
    how = PostProcessing(lesion_probability=0.9)
    # Pixels below the threshold become liver or background, whichever is likelier.
    assert decided(probabilities, how).tolist() == [[[1, 0, 0, 0]]]
    inside = [[[False, True, True, True]]]
    assert decided(probabilities, NOTHING, inside).tolist() == [[[0, 0, 3, 0]]]


def test_holes_get_their_most_likely_type():
    probabilities = np.zeros((1, 5, 6, 4), np.float32)
    probabilities[..., 1] = 1.0
    probabilities[0, 1:4, 1:4] = [0.0, 0.1, 0.9, 0.0]  # a ring of cyst
    probabilities[0, 2, 2] = [0.0, 0.8, 0.05, 0.15]
    assert decided(probabilities, NOTHING)[0, 2, 2] == 1
    labels = decided(probabilities, PostProcessing(fill_holes=True))
    expected = np.ones((5, 6), int)
    expected[1:4, 1:4] = 2
    expected[2, 2] = 3
    np.testing.assert_array_equal(labels[0], expected)
    probabilities[0, 1, 2] = [0.0, 1.0, 0.0, 0.0]  # open to the outside
    assert decided(probabilities, PostProcessing(fill_holes=True))[0, 2, 2] == 1

"""No lesion leaves the frame, and no transform is changed more than that needs."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from liver_tf.pipeline import lesion_safe
from liver_tf.pipeline.augment import NO_AUGMENTATION, Ranges
from tests.pipeline.augment_cases import IDENTITY, apply, draw_batch, parameters

ROWS, COLUMNS = 40, 56
#: Far more than is usual: without moderation most of these lesions are lost.
WILD = Ranges(60.0, 0.5, 0.5, 0.5, 0.0, 0.0, 0.0)


def lesions(count):
    """One to three small lesions (labels 2 and 3) anywhere in a liver, on its border too."""
    generator = np.random.default_rng(4)
    labels = np.ones((count, ROWS, COLUMNS), np.uint8)
    for label in labels:
        for _ in range(generator.integers(1, 4)):
            row, column = generator.integers(0, ROWS - 3), generator.integers(0, COLUMNS - 3)
            label[row : row + 4, column : column + 4] = generator.integers(2, 4)
    return labels


def moderate(drawn, labels, margin=0.0):
    margins = (tf.fill([len(labels)], margin),) * 2
    kept_from = tf.fill([len(labels)], 2)
    return lesion_safe.keep_inside(drawn, tf.constant(labels), kept_from, margins).numpy()


def places(transform, label):
    """Where the lesions' pixels come to lie in the output: columns and rows from the centre."""
    a, b, c, d, e, f = transform.astype(np.float64)
    row, column = np.nonzero(label >= 2)
    source = np.stack([column - (COLUMNS - 1) / 2 - c * COLUMNS, row - (ROWS - 1) / 2 - f * ROWS])
    return np.linalg.solve(np.array([[a, b], [d, e]]), source)


def test_every_lesion_pixel_stays_inside():
    labels = lesions(60)
    drawn = draw_batch(WILD, range(60))["transform"]
    lost = 0
    for before, after, label in zip(drawn.numpy(), moderate(drawn, labels), labels, strict=True):
        room = np.array([[(COLUMNS - 1) / 2], [(ROWS - 1) / 2]])
        if (np.abs(places(before, label)) <= room).all():
            assert before.tobytes() == after.tobytes()
            continue
        lost += 1
        found = np.abs(places(after, label))
        assert (found <= room + 1e-3).all()
        # As little as possible: something lies on the frame.
        assert (np.abs(found - room) < 1e-2).any()
        # Rotation and mirroring are as drawn, the zoom never closer.
        shrink = after[[0, 1, 3, 4]] / before[[0, 1, 3, 4]]
        np.testing.assert_allclose(shrink, shrink[0], rtol=1e-4)
        assert shrink[0] > 1 - 1e-6
        assert (
            np.linalg.det(after[[0, 1, 3, 4]].reshape(2, 2))
            * np.linalg.det(before[[0, 1, 3, 4]].reshape(2, 2))
            > 0
        )
    assert lost > 30


def test_the_zoom_lessens_only_where_a_shift_cannot_do():
    labels = np.zeros((2, ROWS, COLUMNS), np.uint8)
    labels[0, 3:6, 3:6] = 2
    labels[1, 3:6, 3:6] = labels[1, -6:-3, -6:-3] = 2
    # Twice as large: one lesion can be shifted in, two in opposite corners cannot.
    double = tf.constant([[0.5, 0, 0, 0, 0.5, 0]] * 2)
    one, two = moderate(double, labels)
    np.testing.assert_allclose(one[[0, 1, 3, 4]], [0.5, 0, 0, 0.5])
    assert one[2] < 0
    assert one[5] < 0
    # Places 3 to 36 of 40 rows and 3 to 52 of 56 columns: their spans over those of the frame.
    expected = 0.5 * max((33 / 0.5) / 39, (49 / 0.5) / 55)
    np.testing.assert_allclose(two[[0, 4]], expected, rtol=1e-5)


def test_without_lesions_nothing_changes():
    drawn = draw_batch(WILD, range(5))["transform"]
    labels = np.ones((5, ROWS, COLUMNS), np.uint8)
    assert moderate(drawn, labels).tobytes() == drawn.numpy().tobytes()


def test_a_lesion_on_the_border_leaves_the_identity_alone():
    images = np.random.default_rng(0).uniform(-160, 240, (1, ROWS, COLUMNS)).astype(np.float32)
    labels = np.full((1, ROWS, COLUMNS), 2, np.uint8)
    moved, moved_labels = apply(images, labels, parameters(IDENTITY, kept_from=tf.constant([2])))
    assert moved.tobytes() == images.tobytes()
    assert moved_labels.tobytes() == labels.tobytes()


@pytest.mark.parametrize("deformed", [0.0, 0.05])
def test_lesions_survive_as_labels_deformed_or_not(deformed):
    """What is left of them, by area: all of it, but for the rounding of small squares."""
    labels = lesions(60)
    images = np.zeros(labels.shape, np.float32)
    # Zoom in at most: every lesion pixel then covers one output pixel or more.
    ranges = replace(WILD, zoom=0.0, elastic=deformed)
    kept = apply(images, labels, draw_batch(replace(ranges, kept_from=2), range(60)))[1]
    lost = apply(images, labels, draw_batch(ranges, range(60)))[1]

    def left(moved):
        return np.array(
            [(m >= 2).sum() / (b >= 2).sum() for m, b in zip(moved, labels, strict=True)]
        )

    assert (left(lost) < 0.5).sum() > 15
    drawn = draw_batch(replace(ranges, kept_from=2), range(60))
    after = moderate(drawn["transform"], labels)
    size = np.sqrt(np.linalg.det(after[:, [0, 1, 3, 4]].reshape(-1, 2, 2).astype(np.float64)) ** 2)
    # Zoomed out to fit, they are smaller by that; a deformation squeezes some more.
    assert (left(kept) * size > (0.75 if not deformed else 0.45)).all()


def test_the_same_labels_give_the_same_transform_whatever_else_is_in_the_batch():
    labels = lesions(6)
    drawn = draw_batch(replace(NO_AUGMENTATION, shift=0.5), range(6))["transform"]
    together = moderate(drawn, labels)
    for index in range(6):
        alone = moderate(drawn[index : index + 1], labels[index : index + 1])
        assert alone.tobytes() == together[index : index + 1].tobytes()

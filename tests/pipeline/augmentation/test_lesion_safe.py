"""No lesion leaves the frame or vanishes in it; nothing is changed more than that needs."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from liver_tf.pipeline.augmentation import augment, lesion_safe, lost_lesions
from liver_tf.pipeline.augmentation.ranges import NO_AUGMENTATION, Ranges
from tests.builders.augment_cases import IDENTITY, apply, draw_batch, parameters

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


def test_the_zoom_is_reduced_only_if_a_shift_is_not_enough():
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


def test_a_margin_is_left_for_the_deformation():
    """All pixels move by a tenth of the side, and with them a lesion that touches the frame."""
    images = np.zeros((1, ROWS, COLUMNS), np.float32)
    control = tf.fill([1, 7, 7, 2], 0.1)
    for rows, columns in ((slice(0, 4), slice(0, 4)), (slice(20, 24), slice(0, 4))):
        labels = np.ones((1, ROWS, COLUMNS), np.uint8)
        labels[0, rows, columns] = 2
        deformed = parameters(IDENTITY, elastic=control)
        assert (apply(images, labels, deformed)[1] == 2).sum() == 0
        kept = apply(images, labels, deformed | {"kept_from": tf.constant([2])})[1]
        assert (kept == 2).sum() == 16


def test_without_lesions_nothing_changes():
    drawn = draw_batch(WILD, range(5))["transform"]
    labels = np.ones((5, ROWS, COLUMNS), np.uint8)
    assert moderate(drawn, labels).tobytes() == drawn.numpy().tobytes()


def test_a_lesion_on_the_border_does_not_change_the_identity():
    images = np.random.default_rng(0).uniform(-160, 240, (1, ROWS, COLUMNS)).astype(np.float32)
    labels = np.full((1, ROWS, COLUMNS), 2, np.uint8)
    moved, moved_labels = apply(images, labels, parameters(IDENTITY, kept_from=tf.constant([2])))
    assert moved.tobytes() == images.tobytes()
    assert moved_labels.tobytes() == labels.tobytes()


def test_lesions_survive_as_labels():
    """What is left of them, by area: all of it, but for the rounding of small squares."""
    labels = lesions(60)
    images = np.zeros(labels.shape, np.float32)
    ranges = replace(WILD, zoom=0.0)
    drawn = draw_batch(replace(ranges, kept_from=2), range(60))
    kept = apply(images, labels, drawn)[1]
    lost = apply(images, labels, draw_batch(ranges, range(60)))[1]

    def left(moved):
        return (moved >= 2).sum(axis=(1, 2)) / (labels >= 2).sum(axis=(1, 2))

    assert (left(lost) < 0.5).sum() > 15
    # Those that had to be zoomed out are smaller by that.
    after = moderate(drawn["transform"], labels)[:, [0, 1, 3, 4]].reshape(-1, 2, 2)
    assert (left(kept) * np.abs(np.linalg.det(after)) > 0.75).all()


def small_lesions(count, side=96):
    """Lesions of one to three pixels, each with a label of its own, from 2 on."""
    generator = np.random.default_rng(7)
    labels = np.ones((count, side, side), np.uint8)
    for label in labels:
        for row in range(2, side - 3, 18):
            for column in range(2, side - 3, 18):
                if generator.random() < 0.3:
                    continue
                place = row + generator.integers(0, 2), column + generator.integers(0, 2)
                tall, wide = ((1, 1), (1, 2), (2, 1), (1, 3))[generator.integers(4)]
                label[place[0] : place[0] + tall, place[1] : place[1] + wide] = label.max() + 1
    return labels


@pytest.mark.parametrize(
    "ranges",
    [
        WILD,
        replace(NO_AUGMENTATION, rotation_degrees=45.0),
        replace(WILD, zoom=0.3, elastic=0.05),
        # A deformation that would take half of the side if it might.
        replace(NO_AUGMENTATION, elastic=0.48, elastic_intervals=1),
    ],
)
def test_no_lesion_vanishes_however_small(ranges):
    labels = small_lesions(24)
    images = np.zeros(labels.shape, np.float32)
    drawn = draw_batch(replace(ranges, kept_from=2), range(24))
    moved = apply(images, labels, drawn)[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lost_lesions, "restore", lambda labels, moved, *more: moved)
        patch.setattr(augment, "_moved", augment._moved.__wrapped__)
        alone = apply(images, labels, drawn)[1]
    vanished = 0
    for before, after, without in zip(labels, moved, alone, strict=True):
        assert set(np.unique(before)) - {1} <= set(np.unique(after))
        vanished += len(set(np.unique(before)) - {1} - set(np.unique(without)))
        # What was there stays; what is put back are single pixels.
        added = after != without
        assert (without[added] < 2).all()
        assert added.sum() <= 3 * (before >= 2).sum()
    assert vanished > 5


def test_restored_pixels_lie_on_the_lesion():
    """The image of a lesion of one pixel is brightest at its label, deformed as it may be."""
    labels = np.zeros((1, 64, 64), np.uint8)
    labels[0, 20, 41] = 2
    images = np.full(labels.shape, -160, np.float32)
    # A hill four pixels wide around it, so that the place is seen wherever it falls.
    row, column = np.mgrid[:64, :64]
    images[0] += 300 * np.exp(-((row - 20) ** 2 + (column - 41) ** 2) / 8)
    ranges = Ranges(180.0, 0.5, 0.3, 0.5, 0.0, 0.0, 0.0, elastic=0.04, kept_from=2)
    drawn = draw_batch(ranges, range(60))
    moved, moved_labels = apply(images.repeat(60, 0), labels.repeat(60, 0), drawn)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lost_lesions, "restore", lambda labels, moved, *more: moved)
        patch.setattr(augment, "_moved", augment._moved.__wrapped__)
        alone = apply(images.repeat(60, 0), labels.repeat(60, 0), drawn)[1]
    put_back = ~(alone == 2).any(axis=(1, 2))
    assert put_back.sum() > 5
    assert ((moved_labels == 2).sum(axis=(1, 2))[put_back] == 1).all()
    for image, label in zip(moved[put_back], moved_labels[put_back], strict=True):
        (place,) = np.argwhere(label == 2)
        brightest = np.unravel_index(image.argmax(), image.shape)
        assert np.abs(place - brightest).max() <= 1


def test_a_slice_without_lesions_is_deformed_as_drawn():
    control = tf.random.stateless_uniform([2, 4, 4, 2], [1, 2], -0.4, 0.4)
    labels = np.ones((2, ROWS, COLUMNS), np.uint8)
    labels[1, 5, 5] = 2
    free, bound = lesion_safe.reduce_deformation(
        control, tf.constant(labels), tf.constant([2, 2])
    ).numpy()
    assert free.tobytes() == control[0].numpy().tobytes()
    assert np.abs(bound).max() == pytest.approx(lesion_safe.MAX_DISPLACEMENT)
    np.testing.assert_allclose(bound / bound.max(), control[1] / tf.reduce_max(control[1]), 1e-5)


def test_the_same_labels_give_the_same_transform_whatever_else_is_in_the_batch():
    labels = lesions(6)
    drawn = draw_batch(replace(NO_AUGMENTATION, shift=0.5), range(6))["transform"]
    together = moderate(drawn, labels)
    for index in range(6):
        alone = moderate(drawn[index : index + 1], labels[index : index + 1])
        assert alone.tobytes() == together[index : index + 1].tobytes()

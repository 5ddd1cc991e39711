"""No lesion leaves the image or vanishes, with the smallest necessary change of the transform."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from liver_tf.pipeline.augmentation import augment, lesion_safe, lost_lesions
from liver_tf.pipeline.augmentation.ranges import NO_AUGMENTATION, Ranges
from tests.builders.augment_cases import IDENTITY, apply, draw_batch, parameters

ROWS, COLUMNS = 40, 56
#: Far larger than usual: without the correction most of these lesions are lost.
WILD = Ranges(60.0, 0.5, 0.5, 0.5, 0.0, 0.0, 0.0)


def lesions(count):
    """One to three small lesions (labels 2 and 3) anywhere in a liver, also on its border."""
    generator = np.random.default_rng(4)
    labels = np.ones((count, ROWS, COLUMNS), np.uint8)
    for label in labels:
        for _ in range(generator.integers(1, 4)):
            row, column = generator.integers(0, ROWS - 3), generator.integers(0, COLUMNS - 3)
            label[row : row + 4, column : column + 4] = generator.integers(2, 4)
    return labels


def corrected(drawn, labels, margin=0.0):
    margins = (tf.fill([len(labels)], margin),) * 2
    kept_from = tf.fill([len(labels)], 2)
    return lesion_safe.keep_inside(drawn, tf.constant(labels), kept_from, margins).numpy()


def lesion_positions(transform, label):
    """Positions of the lesion pixels in the output: columns and rows from the centre."""
    a, b, c, d, e, f = transform.astype(np.float64)
    row, column = np.nonzero(label >= 2)
    source = np.stack([column - (COLUMNS - 1) / 2 - c * COLUMNS, row - (ROWS - 1) / 2 - f * ROWS])
    return np.linalg.solve(np.array([[a, b], [d, e]]), source)


def test_every_lesion_pixel_stays_inside():
    labels = lesions(60)
    drawn = draw_batch(WILD, range(60))["transform"]
    lost = 0
    for before, after, label in zip(drawn.numpy(), corrected(drawn, labels), labels, strict=True):
        half_size = np.array([[(COLUMNS - 1) / 2], [(ROWS - 1) / 2]])
        if (np.abs(lesion_positions(before, label)) <= half_size).all():
            assert before.tobytes() == after.tobytes()
            continue
        lost += 1
        distance = np.abs(lesion_positions(after, label))
        assert (distance <= half_size + 1e-3).all()
        # The smallest possible change: some pixel lies on the edge of the image.
        assert (np.abs(distance - half_size) < 1e-2).any()
        # Rotation and mirroring are as drawn, the magnification is never larger.
        ratio = after[[0, 1, 3, 4]] / before[[0, 1, 3, 4]]
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)
        assert ratio[0] > 1 - 1e-6
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
    # At twice the size one lesion can be shifted inside, two in opposite corners cannot.
    double = tf.constant([[0.5, 0, 0, 0, 0.5, 0]] * 2)
    shifted, reduced = corrected(double, labels)
    np.testing.assert_allclose(shifted[[0, 1, 3, 4]], [0.5, 0, 0, 0.5])
    assert shifted[2] < 0
    assert shifted[5] < 0
    # Rows 3 to 36 of 40 and columns 3 to 52 of 56: their extents divided by those of the image.
    expected = 0.5 * max((33 / 0.5) / 39, (49 / 0.5) / 55)
    np.testing.assert_allclose(reduced[[0, 4]], expected, rtol=1e-5)


@pytest.mark.long
def test_a_margin_is_left_for_the_deformation():
    """All pixels move by a tenth of the side, including a lesion at the edge of the image."""
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
    assert corrected(drawn, labels).tobytes() == drawn.numpy().tobytes()


def test_a_lesion_on_the_border_does_not_change_the_identity():
    images = np.random.default_rng(0).uniform(-160, 240, (1, ROWS, COLUMNS)).astype(np.float32)
    labels = np.full((1, ROWS, COLUMNS), 2, np.uint8)
    moved, moved_labels = apply(images, labels, parameters(IDENTITY, kept_from=tf.constant([2])))
    assert moved.tobytes() == images.tobytes()
    assert moved_labels.tobytes() == labels.tobytes()


def test_lesions_survive_as_labels():
    """Lesions keep their area, except for rounding of small squares."""
    labels = lesions(60)
    images = np.zeros(labels.shape, np.float32)
    ranges = replace(WILD, zoom=0.0)
    drawn = draw_batch(replace(ranges, kept_from=2), range(60))
    kept = apply(images, labels, drawn)[1]
    lost = apply(images, labels, draw_batch(ranges, range(60)))[1]

    def remaining_share(moved):
        return (moved >= 2).sum(axis=(1, 2)) / (labels >= 2).sum(axis=(1, 2))

    assert (remaining_share(lost) < 0.5).sum() > 15
    # Lesions of slices that had to be zoomed out are smaller by that factor.
    after = corrected(drawn["transform"], labels)[:, [0, 1, 3, 4]].reshape(-1, 2, 2)
    assert (remaining_share(kept) * np.abs(np.linalg.det(after)) > 0.75).all()


def small_lesions(count, side=96):
    """Lesions of one to three pixels, each with its own label, starting with 2."""
    generator = np.random.default_rng(7)
    labels = np.ones((count, side, side), np.uint8)
    for label in labels:
        for row in range(2, side - 3, 18):
            for column in range(2, side - 3, 18):
                if generator.random() < 0.3:
                    continue
                position = row + generator.integers(0, 2), column + generator.integers(0, 2)
                height, width = ((1, 1), (1, 2), (2, 1), (1, 3))[generator.integers(4)]
                label[position[0] : position[0] + height, position[1] : position[1] + width] = (
                    label.max() + 1
                )
    return labels


@pytest.mark.parametrize(
    "ranges",
    [
        WILD,
        pytest.param(replace(NO_AUGMENTATION, rotation_degrees=45.0), marks=pytest.mark.long),
        pytest.param(replace(WILD, zoom=0.3, elastic=0.05), marks=pytest.mark.long),
        pytest.param(
            # A deformation by almost half of the side, if it were not reduced.
            replace(NO_AUGMENTATION, elastic=0.48, elastic_intervals=1),
            marks=pytest.mark.long,
        ),
    ],
)
def test_no_lesion_vanishes_even_if_it_is_small(ranges):
    labels = small_lesions(24)
    images = np.zeros(labels.shape, np.float32)
    drawn = draw_batch(replace(ranges, kept_from=2), range(24))
    moved = apply(images, labels, drawn)[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lost_lesions, "restore", lambda labels, moved, *more: moved)
        patch.setattr(augment, "_moved", augment._moved.__wrapped__)
        unrestored = apply(images, labels, drawn)[1]
    vanished = 0
    for before, after, unrestored_map in zip(labels, moved, unrestored, strict=True):
        assert set(np.unique(before)) - {1} <= set(np.unique(after))
        vanished += len(set(np.unique(before)) - {1} - set(np.unique(unrestored_map)))
        # Existing lesion pixels are kept; only single pixels are restored.
        added = after != unrestored_map
        assert (unrestored_map[added] < 2).all()
        assert added.sum() <= 3 * (before >= 2).sum()
    assert vanished > 5


@pytest.mark.long
def test_restored_pixels_lie_on_the_lesion():
    """The image of a lesion of one pixel is brightest at its label after any deformation."""
    labels = np.zeros((1, 64, 64), np.uint8)
    labels[0, 20, 41] = 2
    images = np.full(labels.shape, -160, np.float32)
    # A bright spot four pixels wide around it, so that its position can be measured.
    row, column = np.mgrid[:64, :64]
    images[0] += 300 * np.exp(-((row - 20) ** 2 + (column - 41) ** 2) / 8)
    ranges = Ranges(180.0, 0.5, 0.3, 0.5, 0.0, 0.0, 0.0, elastic=0.04, kept_from=2)
    drawn = draw_batch(ranges, range(60))
    moved, moved_labels = apply(images.repeat(60, 0), labels.repeat(60, 0), drawn)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lost_lesions, "restore", lambda labels, moved, *more: moved)
        patch.setattr(augment, "_moved", augment._moved.__wrapped__)
        unrestored = apply(images.repeat(60, 0), labels.repeat(60, 0), drawn)[1]
    restored = ~(unrestored == 2).any(axis=(1, 2))
    assert restored.sum() > 5
    assert ((moved_labels == 2).sum(axis=(1, 2))[restored] == 1).all()
    for image, label in zip(moved[restored], moved_labels[restored], strict=True):
        (position,) = np.argwhere(label == 2)
        brightest = np.unravel_index(image.argmax(), image.shape)
        assert np.abs(position - brightest).max() <= 1


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


def test_the_transform_of_a_slice_does_not_depend_on_the_rest_of_the_batch():
    labels = lesions(6)
    drawn = draw_batch(replace(NO_AUGMENTATION, shift=0.5), range(6))["transform"]
    together = corrected(drawn, labels)
    for index in range(6):
        alone = corrected(drawn[index : index + 1], labels[index : index + 1])
        assert alone.tobytes() == together[index : index + 1].tobytes()

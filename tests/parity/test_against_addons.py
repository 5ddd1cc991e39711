"""Augmentation's geometry against ``tfa.image``, pixel by pixel, in an environment of its own.

tensorflow-addons cannot be imported beside Keras 3; ``make parity`` makes an environment in which
it can. The very file that training uses runs there.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from liver_tf.pipeline.augmentation import augment
from liver_tf.pipeline.augmentation.ranges import NO_AUGMENTATION

tfa_image = pytest.importorskip(
    "tensorflow_addons.image", reason="runs in the second environment: make parity"
)

WINDOW = (-160.0, 240.0)
AIR = WINDOW[0]
COUNT = 16
SIZES = [(256, 256), (96, 128), (65, 40)]

#: HU. Coordinates of 256 pixels are exact to some 3e-5 pixels in float32, neighbours differ by up
#: to 400 HU, and each side rounds in its own way.
TOLERANCE_HU = 0.05

#: Pixels. So near to half-way between two pixels rounding decides which is the nearest.
TIE = 1e-3


def ranges(**those_on):
    """Nothing is on but what is named."""
    return replace(NO_AUGMENTATION, **those_on)


def draw(examples, **those_on):
    rows = [
        augment.draw(5, tf.constant(2), tf.constant(example, tf.int64), ranges(**those_on))
        for example in examples
    ]
    return {name: tf.stack([row[name] for row in rows]) for name in rows[0]}


def slices(count, rows, columns):
    """Random pixels (the hardest case: any slip of a coordinate shows) and scattered labels."""
    generator = np.random.default_rng(rows)
    images = generator.uniform(*WINDOW, (count, rows, columns)).astype(np.float32)
    return images, generator.choice([0, 1, 2, 4], images.shape).astype(np.uint8)


def ours(images, labels, parameters):
    moved = augment.apply(tf.constant(images), tf.constant(labels), parameters, WINDOW)
    assert moved[0].dtype == tf.float32
    assert moved[1].dtype == tf.uint8
    return moved[0].numpy(), moved[1].numpy()


def theirs(images, labels, transforms):
    """``tfa.image.transform`` with flat projective transforms [batch, 8]."""
    image = tfa_image.transform(
        images[..., None], transforms, "bilinear", fill_mode="constant", fill_value=AIR
    )
    label = tfa_image.transform(
        labels[..., None], transforms, "nearest", fill_mode="constant", fill_value=0.0
    )
    return image.numpy()[..., 0], label.numpy()[..., 0]


def ties(transforms, rows, columns):
    """Where an output pixel's source lies half-way between two pixels."""
    matrix = np.concatenate(
        [np.asarray(transforms, np.float64), np.ones((len(transforms), 1))], axis=1
    ).reshape(-1, 3, 3)
    row, column = np.mgrid[:rows, :columns].astype(np.float64)
    points = np.stack([column, row, np.ones_like(row)]).reshape(3, -1)
    source = (matrix @ points)[:, :2].reshape(-1, 2, rows, columns)
    return (np.abs(source - np.floor(source) - 0.5) < TIE).any(axis=1)


def assert_parity(images, labels, parameters, transforms):
    """Ours by ``parameters``, theirs by ``transforms``; every pixel that is not a tie."""
    image, label = ours(images, labels, parameters)
    expected_image, expected_label = theirs(images, labels, transforms)
    np.testing.assert_allclose(image, expected_image, rtol=0, atol=TOLERANCE_HU)
    undecided = ties(transforms, *images.shape[1:])
    assert undecided.mean() < 0.05
    np.testing.assert_array_equal(label[~undecided], expected_label[~undecided])


def parts(parameters):
    """Angle (radians), zoom, mirrored, and shift (columns, rows; shares) of drawn transforms."""
    a, b, c, d, e, f = parameters["transform"].numpy().astype(np.float64).T
    # Only what is a rotation, a zoom and a mirror can be taken apart like this.
    mirror = np.sign(a)
    np.testing.assert_allclose([a, b], [mirror * e, -mirror * d], rtol=1e-6)
    return np.arctan2(d, e), 1 / np.hypot(d, e), mirror < 0, c, f


def rotation(angles, rows, columns):
    return tfa_image.transform_ops.angles_to_projective_transforms(
        tf.constant(angles, tf.float32), rows, columns
    ).numpy()


def translation(columns, rows):
    return tfa_image.translate_ops.translations_to_projective_transforms(
        tf.constant(np.stack([columns, rows], axis=1), tf.float32)
    ).numpy()


def scaling(factors, rows, columns):
    """Zoom about the centre: an output pixel comes from 1 / factor of its distance to it."""
    zero, x, y = np.zeros_like(factors), (columns - 1) / 2, (rows - 1) / 2
    scale = 1 / factors
    middle = [scale, zero, x - scale * x, zero, scale, y - scale * y]
    return np.stack([*middle, zero, zero], axis=1).astype(np.float32)


def mirroring(mirrored, columns):
    sign = np.where(mirrored, -1.0, 1.0)
    zero, one = np.zeros_like(sign), np.ones_like(sign)
    far = np.where(mirrored, columns - 1.0, 0.0)
    return np.stack([sign, zero, far, zero, one, zero, zero, zero], axis=1).astype(np.float32)


@pytest.mark.parametrize("size", SIZES)
def test_rotation(size):
    images, labels = slices(COUNT, *size)
    parameters = draw(range(COUNT), rotation_degrees=20.0)
    angles = parts(parameters)[0]
    assert np.abs(np.degrees(angles)).max() > 10
    assert_parity(images, labels, parameters, rotation(angles, *size))
    # The function that users of tensorflow-addons called.
    rotated = tfa_image.rotate(
        images[..., None],
        tf.constant(angles, tf.float32),
        "bilinear",
        fill_mode="constant",
        fill_value=AIR,
    )
    np.testing.assert_allclose(
        ours(images, labels, parameters)[0], rotated[..., 0], rtol=0, atol=TOLERANCE_HU
    )


@pytest.mark.parametrize("size", SIZES)
def test_shift(size):
    rows, columns = size
    images, labels = slices(COUNT, *size)
    parameters = draw(range(COUNT), shift=0.1)
    *_, right, down = parts(parameters)
    assert np.abs([right, down]).max() > 0.05
    # Our transform gives the source of a pixel, theirs its destination.
    moves = np.stack([-right * columns, -down * rows], axis=1)
    assert_parity(images, labels, parameters, translation(*moves.T))
    translated = tfa_image.translate(
        images[..., None],
        tf.constant(moves, tf.float32),
        "bilinear",
        fill_mode="constant",
        fill_value=AIR,
    )
    np.testing.assert_allclose(
        ours(images, labels, parameters)[0], translated[..., 0], rtol=0, atol=TOLERANCE_HU
    )


@pytest.mark.parametrize("size", SIZES)
def test_zoom(size):
    images, labels = slices(COUNT, *size)
    parameters = draw(range(COUNT), zoom=0.2)
    factors = parts(parameters)[1]
    assert factors.min() < 0.96 < 1.04 < factors.max()
    assert_parity(images, labels, parameters, scaling(factors, *size))


@pytest.mark.parametrize("size", SIZES)
def test_flip(size):
    images, labels = slices(COUNT, *size)
    parameters = draw(range(COUNT), flip=0.5)
    mirrored = parts(parameters)[2]
    assert 0 < mirrored.sum() < COUNT
    assert_parity(images, labels, parameters, mirroring(mirrored, size[1]))


@pytest.mark.parametrize("size", SIZES)
def test_all_of_them_in_one_transform(size):
    rows, columns = size
    images, labels = slices(COUNT, *size)
    parameters = draw(range(COUNT), rotation_degrees=20.0, zoom=0.1, shift=0.1, flip=0.5)
    angles, factors, mirrored, right, down = parts(parameters)
    composed = tfa_image.compose_transforms(
        [
            translation(-right * columns, -down * rows),
            mirroring(mirrored, columns),
            scaling(factors, rows, columns),
            rotation(angles, rows, columns),
        ]
    ).numpy()
    assert_parity(images, labels, parameters, composed)


def test_a_quarter_turn_and_a_whole_step_are_exact():
    """Where every pixel has its own source pixel there are no ties, and nothing is interpolated."""
    images, labels = slices(2, 64, 64)
    parameters = draw(range(2))
    parameters["transform"] = tf.constant(
        [[0, -1, 0, 1, 0, 0], [1, 0, 5 / 64, 0, 1, -9 / 64]], tf.float32
    )
    quarter = rotation([math.pi / 2], 64, 64)[0]
    step = translation([-5.0], [9.0])[0]
    image, label = ours(images, labels, parameters)
    expected = theirs(images, labels, np.stack([quarter, step]))
    np.testing.assert_allclose(image, expected[0], rtol=0, atol=TOLERANCE_HU)
    np.testing.assert_array_equal(label, expected[1])


def test_nothing_on_changes_nothing_here_too():
    images, labels = slices(3, 96, 96)
    image, label = ours(images, labels, draw(range(3)))
    assert image.tobytes() == images.tobytes()
    assert label.tobytes() == labels.tobytes()

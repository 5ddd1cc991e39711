"""Drawn images: HU by tissue, partial volume, labels, reproducibility, geometry."""

import numpy as np
import pytest
import tensorflow as tf

from liver_tf.phantom.tissue_codes import CODES, FIRST_LESION, Tissue, labels_of_codes
from liver_tf.pipeline.augmentation import attenuation, augment, drawing
from liver_tf.pipeline.augmentation.ranges import NO_AUGMENTATION, Ranges
from tests.builders.augment_cases import WINDOW, draw_batch

CODE_LABELS = labels_of_codes()


def draw(codes, seeds):
    """Images and labels for int [batch, rows, columns] codes and int [batch] seeds."""
    codes = tf.constant(np.asarray(codes, np.uint8))
    table = tf.constant(np.tile(CODE_LABELS, (len(codes), 1)))
    pairs = tf.constant([[seed, seed + 1] for seed in seeds], tf.int32)
    image, labels = drawing.draw(codes, table, pairs)
    return image.numpy(), labels.numpy()


def test_attenuation_is_within_the_range_of_ct():
    uniform = np.random.default_rng(0).random((2000, attenuation.NUMBERS), np.float32)
    hu, coarse, fine = (table.numpy() for table in attenuation.draw(tf.constant(uniform)))
    liver = hu[:, Tissue.LIVER]
    assert 0 <= liver.min() < 5
    assert 145 < liver.max() <= 170
    assert 60 < np.median(liver) < 110
    assert np.all(hu[:, Tissue.AIR] == -1000)
    assert np.all(hu[:, Tissue.FAT] < -50)
    assert np.all(hu[:, Tissue.GAS] < -700)
    assert (hu[:, Tissue.STOMACH_CONTENT] > 100).mean() > 0.05, "no oral contrast"
    assert (hu[:, Tissue.AORTA] > 250).mean() > 0.1, "no arterial phase"
    assert (hu[:, Tissue.AORTA] < 80).mean() > 0.1, "no image without contrast"
    brighter = hu[:, FIRST_LESION] > liver
    arterial = np.abs(uniform[:, CODES] - (0.2 + 0.8 / 3)) < 0.03
    assert 0.4 < brighter[arterial].mean() < 0.6
    assert 0.03 < brighter[uniform[:, CODES] < 0.2].mean() < 0.15
    # Organs deviate independently: spleen minus liver has either sign.
    assert 0.2 < (hu[:, Tissue.SPLEEN] > liver).mean() < 0.9
    np.testing.assert_array_equal(hu[:, Tissue.PORTAL_VEIN], hu[:, Tissue.PORTAL_BRANCH])
    assert coarse.min() >= 0
    assert fine.min() >= 0


def test_a_pixel_is_the_mean_of_its_tissues():
    codes = np.full((12, 64, 64), Tissue.FAT)
    codes[:, ::2, ::2] = codes[:, 1::2, 1::2] = Tissue.AIR
    image, _ = draw(codes, range(12))
    # Half of -1000 and half of about -100: far beyond any noise.
    assert np.all(np.abs(image.mean((1, 2)) + 550) < 45)


def test_labels_follow_the_codes():
    codes = np.full((1, 32, 32), Tissue.FAT)
    codes[:, 8:24, 8:24] = Tissue.LIVER
    codes[:, 12:16, 12:16] = Tissue.HEPATIC_VEIN
    codes[:, 18:22, 18:22] = FIRST_LESION
    codes[:, 4, 4] = codes[:, 4, 5] = codes[:, 5, 4] = Tissue.LIVER
    codes[:, 0, 1] = Tissue.LIVER
    _, labels = draw(codes, [1])
    expected = np.zeros((16, 16), np.uint8)
    expected[4:12, 4:12] = 1
    expected[9:11, 9:11] = 2
    expected[2, 2] = 1  # three of four pixels; a single one is not enough
    np.testing.assert_array_equal(labels[0], expected)


def test_an_image_depends_on_its_seed_only():
    codes = np.random.default_rng(1).integers(0, 29, (3, 64, 64))
    image, labels = draw(codes, [5, 6, 5])
    alone, alone_labels = draw(codes[1:2], [6])
    np.testing.assert_allclose(image[1], alone[0], rtol=1e-5, atol=1e-3)
    np.testing.assert_array_equal(labels[1], alone_labels[0])
    again, _ = draw(codes[[0, 0]], [5, 7])
    np.testing.assert_allclose(again[0], image[0], rtol=1e-5, atol=1e-3)
    assert np.abs(again[1] - again[0]).mean() > 1


def test_noise_has_many_spectra():
    codes = np.full((40, 128, 128), Tissue.AIR)
    image, _ = draw(codes, range(40))
    image = image - image.mean((1, 2), keepdims=True)
    sd = image.std((1, 2))
    assert sd.min() < 5
    assert sd.max() > 12
    neighbours = (image[:, :, 1:] * image[:, :, :-1]).mean((1, 2)) / sd**2
    assert neighbours.min() < 0.4
    assert neighbours.max() > 0.8


@pytest.mark.parametrize("elastic", [0.0, pytest.param(0.03, marks=pytest.mark.long)])
def test_drawn_slices_move_like_their_labels(elastic):
    """Labels drawn from a fine map and labels moved as usual agree, except at edges."""
    row, column = np.mgrid[:128, :128]
    inside = np.hypot(row - 50, column - 70) < 25
    fine = np.where(inside, Tissue.LIVER, Tissue.FAT).astype(np.uint8)
    labels = inside[::2, ::2].astype(np.uint8)
    ranges = Ranges(20, 0.2, 0.1, 0.5, 0, 0, 0, elastic=elastic, drawn=1.0)
    numbers = range(6)
    parameters = draw_batch(ranges, numbers)
    parameters["tissues"] = tf.constant(np.stack([fine] * 6))
    parameters["code_labels"] = tf.constant(np.tile(CODE_LABELS, (6, 1)))
    images = tf.zeros([6, 64, 64])
    label_maps = tf.constant(np.stack([labels] * 6))
    drawn, drawn_labels = augment.apply(images, label_maps, parameters, WINDOW)
    del parameters["tissues"]
    _, moved = augment.apply(images, label_maps, parameters, WINDOW)
    overlap = (drawn_labels.numpy() & moved.numpy()).sum()
    assert 2 * overlap / (drawn_labels.numpy().sum() + moved.numpy().sum()) > 0.95
    assert drawn.numpy().min() >= WINDOW[0]
    assert drawn.numpy().max() <= WINDOW[1]
    liver = drawn_labels.numpy() > 0
    for image, mask in zip(drawn.numpy(), liver, strict=True):
        assert image[mask].mean() > image[~mask].mean() + 30


def test_the_share_of_drawn_slices():
    flags = draw_batch(Ranges(drawn=0.3), range(400))["is_drawn"].numpy()
    assert 0.2 < flags.mean() < 0.4
    assert "is_drawn" not in draw_batch(NO_AUGMENTATION, [0])
    image = tf.fill([4, 32, 32], 20.0)
    labels = tf.zeros([4, 32, 32], tf.uint8)
    parameters = draw_batch(Ranges(0, 0, 0, 0, 0, 0, 0, drawn=0.5), range(4))
    parameters["is_drawn"] = tf.constant([True, False, True, False])
    parameters["tissues"] = tf.fill([4, 64, 64], tf.constant(Tissue.LIVER, tf.uint8))
    parameters["code_labels"] = tf.constant(np.tile(CODE_LABELS, (4, 1)))
    drawn, drawn_labels = augment.apply(image, labels, parameters, WINDOW)
    np.testing.assert_array_equal(drawn.numpy()[1::2], image.numpy()[1::2])
    np.testing.assert_array_equal(drawn_labels.numpy()[:, 0, 0], [1, 0, 1, 0])
    assert len(np.unique(drawn.numpy()[0])) > 100


def test_codes_fit_the_table():
    assert max(Tissue) < FIRST_LESION < CODES
    assert CODE_LABELS[FIRST_LESION] == 2
    assert CODE_LABELS[FIRST_LESION + 2] == 4
    assert np.flatnonzero(CODE_LABELS == 1).tolist() == [1, 2, 3]

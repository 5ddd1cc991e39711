"""Lesions of drawn images: what changes inside, at the edge, around, and what does not."""

import numpy as np
import tensorflow as tf

from liver_tf.pipeline.augmentation.lesion_texture import within_lesions

SIDE, RADIUS, CENTRE = 64, 14, 32
DISTANCE = np.hypot(*(np.mgrid[:SIDE, :SIDE] - CENTRE))


def change(seeds, contrast=-50.0, texture=0.0):
    """Change in HU of a disc-shaped lesion, for each seed."""
    cover = np.tile((DISTANCE <= RADIUS).astype(np.float32), (len(seeds), 1, 1))
    pairs = tf.constant([[seed, seed + 1] for seed in seeds], tf.int32)
    field = tf.fill(cover.shape, tf.constant(texture, tf.float32))
    contrasts = tf.fill([len(seeds)], tf.constant(contrast, tf.float32))
    return within_lesions(tf.constant(cover), contrasts, field, pairs).numpy()


def test_far_from_a_lesion_nothing_changes():
    changed = change(range(50))
    assert np.all(changed[:, DISTANCE > RADIUS + 10] == 0)
    assert np.any(changed[:, DISTANCE <= RADIUS] != 0)


def test_an_image_depends_on_its_own_seed_only():
    together = change([3, 4, 5])
    np.testing.assert_array_equal(change([4])[0], together[1])
    assert np.any(together[0] != together[1])


def test_cores_rims_and_soft_edges_are_drawn_in_some_images():
    changed = change(range(300))
    centre = changed[:, CENTRE, CENTRE]
    assert 0.2 < (centre < -8).mean() < 0.45, "dark cores"
    assert 0.03 < (centre > 4).mean() < 0.2, "bright cores"
    # With a contrast of 0 there is no edge to soften: what is left at the edge is rim and core.
    edge = change(range(300), contrast=0.0)[:, CENTRE, CENTRE + RADIUS]
    assert 0.15 < (edge > 8).mean() < 0.4, "bright rims"
    outside = (
        changed[:, CENTRE, CENTRE + RADIUS + 1]
        - change(range(300), contrast=0.0)[:, CENTRE, CENTRE + RADIUS + 1]
    )
    softened = outside < -5
    assert 0.35 < softened.mean() < 0.65, "half of the edges are soft, on the side of the liver too"
    assert np.all(outside[~softened] == 0)


def test_mosaics_and_specks_follow_the_texture():
    bright, dark = change(range(300), texture=1.5), change(range(300), texture=-1.5)
    difference = bright[:, CENTRE, CENTRE] - dark[:, CENTRE, CENTRE]
    assert 0.3 < (difference > 10).mean() < 0.6
    assert np.all(difference >= 0)

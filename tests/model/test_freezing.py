"""Blocks as they are written, and that frozen means frozen, bit for bit."""

import numpy as np
import pytest
import tensorflow as tf

from liver_tf.model import unet
from liver_tf.model.architecture import Architecture
from liver_tf.model.block_weights import block_hashes, hash_of, weights_by_block
from liver_tf.model.blocks import BLOCKS, ENCODER
from liver_tf.model.freezing import freeze
from liver_tf.training.task import Task
from liver_tf.training.training_step import training_step


def test_freezing_an_unknown_block_is_refused():
    model = unet.build(Architecture(16, 1, 2))
    with pytest.raises(ValueError, match=r"no such blocks: \['enc9'\]; the blocks are enc1"):
        freeze(model, ["enc1", "enc9"])


def train(model, fixed, steps=2, norm="update"):
    freeze(model, fixed, norm)
    import keras

    task = Task(100.0, 30.0, (0.5, 1.0, 2.0), (-160, 240))
    step = training_step(model, keras.optimizers.Adam(1e-2), task)
    generator = np.random.default_rng(0)
    images = tf.constant(generator.uniform(-160, 240, (2, 32, 32)), tf.float32)
    labels = tf.constant(generator.integers(0, 3, (2, 32, 32)), tf.uint8)
    for _ in range(steps):
        step(images, labels, {})


@pytest.fixture(scope="module")
def shared_model():
    return unet.build(Architecture(32, 2, 3), seed=1)


@pytest.mark.parametrize(
    "fixed",
    [
        pytest.param((), marks=pytest.mark.long),
        ENCODER,
        pytest.param(("enc2", "dec3"), marks=pytest.mark.long),
        pytest.param(tuple(b for b in BLOCKS if b != "head"), marks=pytest.mark.long),
    ],
)
def test_frozen_blocks_keep_every_bit_and_the_others_change(shared_model, fixed):
    """One model goes through all: what was frozen before must be free again after."""
    before, arrays = block_hashes(shared_model), weights_by_block(shared_model)
    train(shared_model, fixed)
    after = block_hashes(shared_model)
    assert {block for block in BLOCKS if after[block] == before[block]} == set(fixed)
    for block, weights in weights_by_block(shared_model).items():
        for name, array in weights.items():
            if block in fixed:
                assert array.tobytes() == arrays[block][name].tobytes(), name
            else:
                assert array.tobytes() != arrays[block][name].tobytes(), name


NORM_WEIGHTS = ("gamma", "beta", "moving_mean", "moving_variance")


@pytest.mark.parametrize(
    ("norm", "moving"),
    [
        pytest.param("inference", set(), marks=pytest.mark.long),
        ("freeze_statistics", {"gamma", "beta"}),
        ("update", set(NORM_WEIGHTS)),
    ],
)
def test_the_policy_decides_what_batch_normalisation_trains(shared_model, norm, moving):
    """In one model, one after the other: a policy must not outlast its cycle."""
    before = weights_by_block(shared_model)
    train(shared_model, ("enc1",), norm=norm)
    after = weights_by_block(shared_model)
    for block in BLOCKS:
        for name, array in after[block].items():
            layer, weight = name.split("/")
            moved = array.tobytes() != before[block][name].tobytes()
            learns = weight in moving if "_norm" in layer else True
            assert moved == (learns and block != "enc1"), name


def test_an_unknown_norm_policy_is_refused(shared_model):
    with pytest.raises(ValueError, match="norm: expected one of update, freeze_statistics, infer"):
        freeze(shared_model, (), "off")


def test_moving_statistics_are_among_a_blocks_weights(shared_model):
    names = weights_by_block(shared_model)["enc2"]
    assert set(names) == {
        f"enc2_{layer}{number}/{weight}"
        for number in (1, 2)
        for layer, weights in (
            ("conv", ("kernel", "bias")),
            ("norm", ("gamma", "beta", "moving_mean", "moving_variance")),
        )
        for weight in weights
    }
    norm = shared_model.get_layer("enc2_norm1")
    before = block_hashes(shared_model)
    norm.moving_mean.assign(norm.moving_mean + 1e-6)
    changed = block_hashes(shared_model)
    assert [block for block in BLOCKS if changed[block] != before[block]] == ["enc2"]


def test_weights_are_copies(shared_model):
    taken = weights_by_block(shared_model)["head"]["head_logits/bias"]
    before = taken.copy()
    bias = shared_model.get_layer("head_logits").bias
    bias.assign(bias + 1.0)
    np.testing.assert_array_equal(taken, before)


def test_a_hash_depends_on_names_shapes_dtypes_and_bytes():
    array = np.arange(6, dtype=np.float32)
    hashes = {
        hash_of(arrays)
        for arrays in (
            {"a": array},
            {"b": array},
            {"a": array.reshape(2, 3)},
            {"a": array.view(np.int32)},
            {"a": array[::-1]},
            {"a": array, "b": array},
            {"a": np.where(array == 0, np.float32(-0.0), array)},
        )
    }
    assert len(hashes) == 7
    assert hash_of({"a": array, "b": -array}) == hash_of({"b": -array, "a": array})

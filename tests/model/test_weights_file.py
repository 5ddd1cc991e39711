"""Weights come back as they were, or not at all; they move by block."""

import math

import numpy as np
import pytest
import tensorflow as tf

from liver_tf.labels import LESION_TYPES, LITS, LIVER_ONLY, LabelSet
from liver_tf.model import unet
from liver_tf.model.architecture import Architecture
from liver_tf.model.block_weights import block_hashes, weights_by_block
from liver_tf.model.blocks import BLOCKS
from liver_tf.model.transfer import head_from_old, transfer
from liver_tf.model.weights_file import (
    load_arrays,
    load_weights,
    save_arrays,
    save_weights,
    stored_hash,
)
from liver_tf.refusals import Refusal


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """A network of 3 classes whose every weight is different, and its file."""
    model = unet.build(Architecture(16, 2, 3), seed=1)
    generator = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(generator.uniform(0.1, 1, weight.shape))
    path = tmp_path_factory.mktemp("weights") / "weights.npz"
    return model, path, save_weights(path, model)


def test_weights_are_read_back_bit_for_bit(pretrained):
    model, path, digest = pretrained
    other = unet.build(Architecture(16, 2, 3), seed=2)
    assert block_hashes(other) != block_hashes(model)
    load_weights(path, other)
    assert block_hashes(other) == block_hashes(model)
    assert stored_hash(path) == digest


@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.long)])
def test_a_flipped_bit_anywhere_in_the_file_is_refused_or_harmless(tmp_path, step):
    """Some bits of a zip file, such as times, have no meaning; they may flip, but no weight may."""
    path = tmp_path / "weights.npz"
    sound = {"enc1_conv1/kernel": np.float32([[1, 2], [3, 4]])}
    save_arrays(path, sound)
    data = path.read_bytes()
    refusals = []
    bits = range(0, 8 * len(data), step)
    for bit in bits:
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            arrays = load_arrays(path)
        except Refusal as refusal:
            refusals.append(refusal.code)
        else:
            assert set(arrays) == set(sound)
            assert all(arrays[name].tobytes() == sound[name].tobytes() for name in sound)
    assert set(refusals) == {"weights-damaged"}
    assert len(refusals) > 0.5 * len(bits)


def test_a_flipped_bit_in_a_weight_is_refused(pretrained, tmp_path):
    _, path, _ = pretrained
    data = path.read_bytes()
    for name in ("enc1_conv1/kernel", "enc5_norm2/moving_variance", "head_logits/bias"):
        place = data.index(load_arrays(path)[name].tobytes())
        flipped = bytearray(data)
        flipped[place + 3] ^= 1
        (tmp_path / "bad.npz").write_bytes(flipped)
        with pytest.raises(Refusal, match=r"\[weights-damaged\] .*; found BadZipFile"):
            load_arrays(tmp_path / "bad.npz")


def test_a_weight_changed_with_its_checksum_is_refused_by_the_hash(pretrained, tmp_path):
    _, path, digest = pretrained
    arrays = load_arrays(path)
    arrays["head_logits/bias"] = arrays["head_logits/bias"] + 1
    np.savez(tmp_path / "bad.npz", **arrays, sha256=np.array(digest))
    with pytest.raises(Refusal, match=r"\[weights-damaged\] .*; found another SHA-256"):
        load_arrays(tmp_path / "bad.npz")


@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.99, -1])
def test_a_truncated_file_is_refused(pretrained, tmp_path, kept):
    _, path, _ = pretrained
    data = path.read_bytes()
    bad = tmp_path / "bad.npz"
    bad.write_bytes(data[: int(kept * len(data)) if isinstance(kept, float) else kept])
    with pytest.raises(Refusal, match=r"\[weights-damaged\]"):
        load_arrays(bad)


def test_no_file_and_a_file_with_pickle_are_refused(tmp_path):
    with pytest.raises(Refusal, match=r"\[no-weights\] .*; found no such file"):
        load_arrays(tmp_path / "none.npz")
    np.savez(tmp_path / "pickled.npz", a=np.array([{}], object), sha256=np.array("0"))
    with pytest.raises(Refusal, match=r"\[weights-damaged\] .*; found ValueError"):
        load_arrays(tmp_path / "pickled.npz")
    np.savez(tmp_path / "hashless.npz", a=np.zeros(3))
    with pytest.raises(Refusal, match=r"\[weights-damaged\] .*; found KeyError"):
        load_arrays(tmp_path / "hashless.npz")
    np.save(tmp_path / "single.npy", np.zeros(3))
    with pytest.raises(Refusal, match=r"\[weights-damaged\]"):
        load_arrays(tmp_path / "single.npy")


def test_arrays_of_all_kinds_are_read_back(tmp_path):
    arrays = {"a/b": np.float32([1, -0.0]), "c": np.array("{}"), "d": np.int64(3)}
    save_arrays(tmp_path / "x.npz", arrays)
    back = load_arrays(tmp_path / "x.npz")
    assert set(back) == set(arrays)
    for name, array in arrays.items():
        assert back[name].dtype == np.asarray(array).dtype
        assert back[name].tobytes() == np.asarray(array).tobytes()


def test_another_architecture_is_refused_with_the_blocks_that_match(pretrained):
    _, path, _ = pretrained
    with pytest.raises(Refusal) as caught:
        load_weights(path, unet.build(Architecture(16, 2, 5)))
    text = caught.value.text()
    assert caught.value.code == "weights-architecture"
    assert f"matching blocks: {', '.join(BLOCKS[:-1])}; differing: head" in text
    assert "(1, 1, 2, 3) stored, (1, 1, 2, 5) expected" in text
    with pytest.raises(Refusal, match=r"matching blocks: none; differing: enc1 \(enc1_conv1"):
        load_weights(path, unet.build(Architecture(16, 3, 3)))


def test_weights_with_a_layer_missing_are_refused(pretrained, tmp_path):
    _, path, _ = pretrained
    arrays = load_arrays(path)
    del arrays["dec3_conv2/bias"]
    save_arrays(tmp_path / "x.npz", arrays)
    with pytest.raises(Refusal, match=r"dec3 \(\d+ weights stored, \d+ expected\)"):
        load_weights(tmp_path / "x.npz", unet.build(Architecture(16, 2, 3)))


def test_transfer_loads_all_but_the_head(pretrained):
    source, path, _ = pretrained
    model = unet.build(Architecture(16, 2, 5), seed=9)
    head = weights_by_block(model)["head"]
    report = transfer(path, model)
    assert report.loaded == BLOCKS[:-1]
    assert list(report.fresh) == ["head"]
    assert "(1, 1, 2, 3) stored, (1, 1, 2, 5) expected" in report.fresh["head"]
    assert report.text().splitlines()[0] == f"loaded: {', '.join(BLOCKS[:-1])}"
    assert report.text().splitlines()[1].startswith("fresh:  head (head_logits/kernel: ")
    before, after = block_hashes(source), block_hashes(model)
    assert all(before[block] == after[block] for block in BLOCKS[:-1])
    for name, array in weights_by_block(model)["head"].items():
        assert array.tobytes() == head[name].tobytes()


def test_transfer_skips_the_requested_blocks_even_if_they_would_fit(pretrained):
    _, path, _ = pretrained
    model = unet.build(Architecture(16, 2, 3), seed=9)
    before = block_hashes(model)
    report = transfer(path, model, fresh=("dec1", "head"))
    assert report.fresh == {"dec1": "replaced as requested", "head": "replaced as requested"}
    after = block_hashes(model)
    assert {block for block in BLOCKS if before[block] == after[block]} == {"dec1", "head"}


def test_transfer_to_another_size_is_refused_and_changes_nothing(pretrained):
    _, path, _ = pretrained
    model = unet.build(Architecture(16, 4, 5))
    before = block_hashes(model)
    with pytest.raises(
        Refusal, match=r"every block except head; found matching blocks: none; differ"
    ):
        transfer(path, model)
    assert block_hashes(model) == before


@pytest.fixture(scope="module")
def undecided(tmp_path_factory):
    """A network of 3 classes, all of them probable somewhere in ``images``; its weights file."""
    source = unet.build(Architecture(16, 2, 3), seed=4)
    images = np.random.default_rng(3).normal(size=(2, 16, 16, 1)).astype(np.float32)
    logits = source.get_layer("head_logits")
    logits.kernel.assign(logits.kernel / source(images).numpy().std())
    path = tmp_path_factory.mktemp("undecided") / "weights.npz"
    save_weights(path, source)
    shares = tf.nn.softmax(source(images)).numpy()
    assert np.ptp(shares, axis=(0, 1, 2)).min() > 0.1, "otherwise any head would do"
    return source, path, images


def test_an_old_head_shares_the_lesion_probability_among_the_new_kinds(undecided):
    """With the new head the kinds of lesion together are as likely as the one lesion was."""
    source, path, images = undecided
    model = unet.build(Architecture(16, 2, 5), seed=9)
    transfer(path, model)
    assert head_from_old(path, model, LITS, LESION_TYPES) == {
        "background": ["background"],
        "liver": ["liver"],
        "lesion": ["cyst", "hemangioma", "metastasis"],
    }
    old = tf.nn.softmax(source(images)).numpy()
    new = tf.nn.softmax(model(images)).numpy()
    np.testing.assert_allclose(new[..., :2], old[..., :2], atol=1e-6)
    for kind in (2, 3, 4):
        np.testing.assert_allclose(new[..., kind], old[..., 2] / 3, atol=1e-6)


def test_an_old_head_gives_the_same_corrected_probabilities_under_other_class_weights(undecided):
    """A network trained with class weights shows each class as many times too often."""
    source, path, images = undecided
    model = unet.build(Architecture(16, 2, 5), seed=9)
    transfer(path, model)
    weights = (0.4, 2.0, 60.0), (1.5, 3.0, 7.0, 20.0, 9.0)
    head_from_old(path, model, LITS, LESION_TYPES, weights)
    old, new = (
        shares / shares.sum(-1, keepdims=True)
        for network, of_class in zip((source, model), weights, strict=True)
        for shares in [tf.nn.softmax(network(images)).numpy().astype(np.float64) / of_class]
    )
    expected = [old[..., 0], old[..., 1], *(old[..., 2] / 3,) * 3]
    np.testing.assert_allclose(new, np.stack(expected, axis=-1), atol=1e-6)


def test_a_class_without_weight_keeps_its_bias(tmp_path):
    """Its logit was not trained, or will not be: it carries no information."""
    source, model = (unet.build(Architecture(16, 2, 3), seed=4) for _ in range(2))
    path = tmp_path / "old.npz"
    save_weights(path, source)
    head_from_old(path, model, LITS, LITS, ((0.0, 2.0, 5.0), (3.0, 4.0, 0.0)))
    then, now = (one.get_layer("head_logits").bias.numpy() for one in (source, model))
    np.testing.assert_allclose(now - then, [0, math.log(2), 0], atol=1e-6)


def test_a_head_keeps_the_columns_of_the_classes_it_shares_whatever_their_order(tmp_path):
    """A known kind of lesion moves to another place; unknown ones share *lesion*'s column."""
    old = LabelSet("old", ("background", "liver", "cyst", "lesion"))
    new = LabelSet("new", ("background", "liver", "a", "b", "cyst", "lesion"))
    source, model = (unet.build(Architecture(16, 2, len(one)), seed=4) for one in (old, new))
    source.get_layer("head_logits").bias.assign([0.5, 1.5, 2.5, 3.5])
    path = tmp_path / "old.npz"
    save_weights(path, source)
    taken = head_from_old(path, model, old, new)
    assert taken["cyst"] == ["cyst"]
    assert taken["lesion"] == ["a", "b", "lesion"]
    then, now = (weights_by_block(one)["head"] for one in (source, model))
    kernel = then["head_logits/kernel"]
    expected = kernel[..., [0, 1, 3, 3, 2, 3]]
    np.testing.assert_array_equal(now["head_logits/kernel"], expected)
    third = 3.5 - math.log(3)
    np.testing.assert_allclose(now["head_logits/bias"], [0.5, 1.5, third, third, 2.5, third])


@pytest.mark.parametrize(("old", "new"), [(LIVER_ONLY, LITS), (LESION_TYPES, LITS)])
def test_a_class_that_the_old_head_cannot_start_is_refused(tmp_path, old, new):
    path = tmp_path / "old.npz"
    save_weights(path, unet.build(Architecture(16, 2, len(old))))
    with pytest.raises(
        Refusal, match=r"\[old-head\] expected a head with lesion, or .*--head=fresh"
    ):
        head_from_old(path, unet.build(Architecture(16, 2, len(new))), old, new)

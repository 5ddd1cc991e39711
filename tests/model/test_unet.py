"""The network's blocks: their order, their shapes, and that every layer belongs to one."""

import collections
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from benchmarks.peer_unet import keras_unet
from liver_tf.model import freezing, unet
from liver_tf.model.architecture import Architecture
from liver_tf.model.block_weights import ParameterCount, block_hashes, parameter_counts
from liver_tf.model.blocks import BLOCKS, NORM_POLICIES, block_of

PAPER_BLOCKS = ("enc1", "enc2", "enc3", "enc4", "enc5", "dec4", "dec3", "dec2", "dec1", "head")


@pytest.fixture(scope="module")
def model():
    return unet.build(Architecture(48, 3, 5), seed=1)


def test_every_layer_belongs_to_a_block_and_blocks_follow_the_data(model):
    assert BLOCKS == PAPER_BLOCKS
    blocks = [block_of(layer.name) for layer in model.layers]
    assert blocks[0] is None
    assert model.layers[0].name == "image"
    assert None not in blocks[1:]
    assert tuple(dict.fromkeys(blocks[1:])) == PAPER_BLOCKS
    # No block is interrupted by another's layer.
    assert blocks[1:] == sorted(blocks[1:], key=PAPER_BLOCKS.index)


def test_a_layer_outside_all_blocks_is_refused():
    with pytest.raises(ValueError, match=r"layer 'bottleneck_conv' belongs to no block of enc1"):
        block_of("bottleneck_conv")


def test_each_block_is_built_as_in_the_paper(model):
    for block in PAPER_BLOCKS[:-1]:
        kinds = [type(layer).__name__ for layer in model.layers if block_of(layer.name) == block]
        first = {"enc": ["MaxPooling2D", "Conv2D"], "dec": ["Conv2DTranspose", "SkipConvolution"]}
        rest = ["FusedBatchNormalization", "Conv2D", "FusedBatchNormalization"]
        assert kinds == (["Conv2D"] if block == "enc1" else first[block[:3]]) + rest
        for number in (1, 2):
            convolution = model.get_layer(f"{block}_conv{number}")
            assert convolution.activation is keras.activations.relu
            assert convolution.kernel_size == (3, 3)
    assert [layer.name for layer in model.layers][-1] == "head_logits"


def test_shapes_halve_and_channels_double(model):
    for level in range(5):
        shape = model.get_layer(f"enc{level + 1}_norm2").output.shape
        assert shape == (None, 48 // 2**level, 48 // 2**level, 3 * 2**level)
    for level in range(4):
        shape = model.get_layer(f"dec{level + 1}_norm2").output.shape
        assert shape == (None, 48 // 2**level, 48 // 2**level, 3 * 2**level)
        skip, up = model.get_layer(f"dec{level + 1}_conv1").input
        assert skip is model.get_layer(f"enc{level + 1}_norm2").output
        assert up is model.get_layer(f"dec{level + 1}_up").output
        assert skip.shape == up.shape == shape
    assert model.output.shape == (None, 48, 48, 5)
    assert model(np.zeros((2, 48, 48, 1), np.float32)).shape == (2, 48, 48, 5)


def test_a_graph_that_does_not_train_is_made_of_plain_layers():
    model = unet.build(Architecture(32, 2, 3))
    plain = keras_unet(32, 2, 3)
    kinds = []
    for network in (model, plain):
        traced = tf.function(lambda x, network=network: network(x, training=False))
        graph = traced.get_concrete_function(tf.TensorSpec([1, 32, 32, 1])).graph
        kinds.append(collections.Counter(operation.type for operation in graph.get_operations()))
    same = ("Conv2D", "Conv2DBackpropInput", "ConcatV2", "MaxPool", "Relu", "IdentityN")
    assert [kinds[0][kind] for kind in same] == [kinds[1][kind] for kind in same]
    assert kinds[0]["ConcatV2"] == 4
    assert kinds[0]["IdentityN"] == 0


def test_parameter_counts_worked_by_hand():
    counts = parameter_counts(unet.build(Architecture(16, 2, 3)))
    # A convolution of f to g channels has 9 f g + g weights; a normalisation of g channels has a
    # scale and an offset, and moving means and variances that no gradient moves.
    assert counts["enc1"] == ParameterCount((9 * 1 * 2 + 2) + (9 * 2 * 2 + 2), 2 * 4, 2 * 4)
    assert counts["enc2"] == ParameterCount((9 * 2 * 4 + 4) + (9 * 4 * 4 + 4), 2 * 8, 2 * 8)
    assert counts["enc5"] == ParameterCount((9 * 16 * 32 + 32) + (9 * 32 * 32 + 32), 2 * 64, 2 * 64)
    up = 4 * 4 * 2 + 2
    assert counts["dec1"] == ParameterCount(up + (9 * 4 * 2 + 2) + (9 * 2 * 2 + 2), 2 * 4, 2 * 4)
    assert counts["head"] == ParameterCount(2 * 3 + 3)
    assert list(counts) == list(PAPER_BLOCKS)


@pytest.mark.parametrize("norm", NORM_POLICIES)
def test_the_plan_counts_as_keras_does(norm):
    model = unet.build(Architecture(16, 2, 3))
    counts = parameter_counts(model)
    fixed = ("enc1", "enc2", "dec3")
    freezing.freeze(model, fixed, norm)
    moved = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    assert sum(counts[b].trainable(norm) for b in counts if b not in fixed) == moved
    assert sum(block.total for block in counts.values()) == model.count_params()


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_half_precision_keeps_weights_logits_and_their_meaning(precision):
    """Weights are float32 and start the same; what comes out differs by rounding alone."""
    whole = unet.build(Architecture(16, 2, 3), 1)
    half = unet.build(Architecture(16, 2, 3), 1, precision=precision)
    assert block_hashes(half) == block_hashes(whole)
    assert {weight.dtype for weight in half.weights} == {"float32"}
    kinds = {layer.compute_dtype for layer in half.layers if layer.name not in ("image",)}
    assert kinds == {precision, "float32"}
    assert half.get_layer("head_logits").compute_dtype == "float32"
    images = np.random.default_rng(0).normal(size=(2, 16, 16, 1)).astype(np.float32)
    ours, theirs = half(images, training=False), whole(images, training=False)
    assert ours.dtype == "float32"
    # bfloat16 has 8 bits of mantissa, through 18 convolutions.
    np.testing.assert_allclose(ours, theirs, atol={"float16": 0.02, "bfloat16": 0.15}[precision])
    assert np.abs(np.subtract(ours, theirs)).max() > 0
    assert half(images, training=True).dtype == "float32"


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="precision: expected one of float32, bfloat16, float16"):
        unet.build(Architecture(16, 2, 3), precision="float8")


def test_same_seed_same_weights_other_seed_others():
    def hashes(seed):
        return block_hashes(unet.build(Architecture(16, 2, 3), seed))

    assert hashes(4) == hashes(4)
    other = hashes(5)
    assert all(other[block] != value for block, value in hashes(4).items())


def test_initial_kernels_are_he_normal_and_differ_from_layer_to_layer():
    model = unet.build(Architecture(16, 16, 3))
    kernels = [model.get_layer(f"enc5_conv{number}").kernel.numpy() for number in (1, 2)]
    for kernel in kernels:
        fan_in = np.prod(kernel.shape[:3])
        assert kernel.std() == pytest.approx(np.sqrt(2 / fan_in), rel=0.03)
    first = kernels[0].reshape(-1)[:1000]
    assert abs(np.corrcoef(first, kernels[1].reshape(-1)[:1000])[0, 1]) < 0.15


def test_outputs_are_logits_not_probabilities(model):
    logits = model(np.random.default_rng(0).normal(size=(1, 48, 48, 1)).astype(np.float32))
    assert logits.numpy().min() < 0
    assert np.abs(logits.numpy().sum(-1) - 1).max() > 0.1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((100, 4, 3), "image_size: expected a multiple of 16, found 100"),
        ((0, 4, 3), "image_size: expected a multiple of 16, found 0"),
        ((-16, 4, 3), "image_size: expected a multiple of 16, found -16"),
        ((32, 0, 3), "base_filters: expected at least 1, found 0"),
        ((32, 4, 1), "classes: expected at least 2, found 1"),
        ((32, 4, 3, 1.0), r"momentum: expected at least 0 and below 1, found 1\.0"),
        ((32, 4, 3, float("nan")), "momentum: expected a finite number, found nan"),
    ],
)
def test_impossible_sizes_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Architecture(*arguments)

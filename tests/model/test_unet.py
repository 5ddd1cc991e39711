"""The network's blocks: their order, their shapes, and that every layer belongs to one."""

import keras
import numpy as np
import pytest

from liver_tf.model import freezing, unet
from liver_tf.model.unet import Architecture

PAPER_BLOCKS = ("enc1", "enc2", "enc3", "enc4", "enc5", "dec4", "dec3", "dec2", "dec1", "head")


@pytest.fixture(scope="module")
def model():
    return unet.build(Architecture(48, 3, 5), seed=1)


def test_every_layer_belongs_to_a_block_and_blocks_follow_the_data(model):
    assert unet.BLOCKS == PAPER_BLOCKS
    blocks = [unet.block_of(layer.name) for layer in model.layers]
    assert blocks[0] is None
    assert model.layers[0].name == "image"
    assert None not in blocks[1:]
    assert tuple(dict.fromkeys(blocks[1:])) == PAPER_BLOCKS
    # No block is interrupted by another's layer.
    assert blocks[1:] == sorted(blocks[1:], key=PAPER_BLOCKS.index)


def test_a_stray_layer_is_refused():
    with pytest.raises(ValueError, match=r"layer 'bottleneck_conv' belongs to no block of enc1"):
        unet.block_of("bottleneck_conv")


def test_each_block_is_built_as_the_paper_says(model):
    for block in PAPER_BLOCKS[:-1]:
        kinds = [
            type(layer).__name__ for layer in model.layers if unet.block_of(layer.name) == block
        ]
        twice = ["Conv2D", "FusedBatchNormalization"] * 2
        before = {"enc": ["MaxPooling2D"], "dec": ["Conv2DTranspose", "Concatenate"]}[block[:3]]
        assert kinds == ([] if block == "enc1" else before) + twice
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
        skip = model.get_layer(f"dec{level + 1}_skip").output.shape
        assert skip[-1] == 2 * 3 * 2**level
    assert model.output.shape == (None, 48, 48, 5)
    assert model(np.zeros((2, 48, 48, 1), np.float32)).shape == (2, 48, 48, 5)


def test_parameter_counts_worked_by_hand():
    counts = freezing.parameter_counts(unet.build(Architecture(16, 2, 3)))
    # A convolution of f to g channels has 9 f g + g weights, a normalisation 2 g.
    assert counts["enc1"] == (9 * 1 * 2 + 2) + 4 + (9 * 2 * 2 + 2) + 4
    assert counts["enc2"] == (9 * 2 * 4 + 4) + 8 + (9 * 4 * 4 + 4) + 8
    assert counts["enc5"] == (9 * 16 * 32 + 32) + 64 + (9 * 32 * 32 + 32) + 64
    up = 4 * 4 * 2 + 2
    assert counts["dec1"] == up + (9 * 4 * 2 + 2) + 4 + (9 * 2 * 2 + 2) + 4
    assert counts["head"] == 2 * 3 + 3
    assert list(counts) == list(PAPER_BLOCKS)


def test_same_seed_same_weights_other_seed_others():
    def hashes(seed):
        return freezing.block_hashes(unet.build(Architecture(16, 2, 3), seed))

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
        ((100, 4, 3), "image_size: expected a multiple of 16, got 100"),
        ((0, 4, 3), "image_size: expected a multiple of 16, got 0"),
        ((-16, 4, 3), "image_size: expected a multiple of 16, got -16"),
        ((32, 0, 3), "at least 1 filter and 2 classes, got 0 and 3"),
        ((32, 4, 1), "at least 1 filter and 2 classes, got 4 and 1"),
        ((32, 4, 3, 1.0), r"momentum: expected 0 <= momentum < 1, got 1\.0"),
        ((32, 4, 3, float("nan")), "momentum: expected 0 <= momentum < 1, got nan"),
    ],
)
def test_impossible_sizes_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Architecture(*arguments)

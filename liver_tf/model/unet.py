"""The 2-D U-Net of the paper as a Keras model, every layer named by its block."""

import keras

from liver_tf.model.architecture import Architecture
from liver_tf.model.batch_norm import FusedBatchNormalization
from liver_tf.model.blocks import DECODER, ENCODER, HEAD, LEVELS
from liver_tf.model.precision_settings import PRECISIONS
from liver_tf.model.skip_convolution import SkipConvolution


def build(architecture: Architecture, seed: int = 0, *, precision: str = "float32") -> keras.Model:
    """Build the functional model: standardised HU [batch, s, s, 1] to logits.

    An encoder block is 2 x (convolution, ReLU, batch normalisation), with pooling between blocks;
    the decoder upsamples by transposed convolution and concatenates the skip connection. Softmax is
    part of the loss and of inference.

    Args:
      seed: Determines the initial weights.
      precision: One of ``PRECISIONS``; logits are always float32, [batch, s, s, classes].
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision: expected one of {', '.join(PRECISIONS)}, got {precision!r}")
    dtype = keras.DTypePolicy(precision if precision == "float32" else f"mixed_{precision}")
    initial = _Initial(seed)
    side = architecture.image_size
    inputs = keras.Input((side, side, 1), name="image")
    skips = []
    x = inputs
    for level, block in enumerate(ENCODER):
        if level:
            x = keras.layers.MaxPooling2D(name=f"{block}_pool", dtype=dtype)(x)
        x = _double_convolution(x, architecture, block, level, initial, dtype)
        skips.append(x)
    for block, level in zip(DECODER, range(LEVELS - 2, -1, -1), strict=True):
        filters = architecture.base_filters * 2**level
        x = keras.layers.Conv2DTranspose(
            filters, 2, strides=2, kernel_initializer=initial(), name=f"{block}_up", dtype=dtype
        )(x)
        x = _double_convolution([skips[level], x], architecture, block, level, initial, dtype)
    logits = keras.layers.Conv2D(
        architecture.classes,
        1,
        kernel_initializer=initial(),
        dtype="float32",
        name=f"{HEAD}_logits",
    )(x)
    return keras.Model(inputs, logits, name="unet")


def _double_convolution(
    x, architecture: Architecture, block: str, level: int, initial: "_Initial", dtype
):
    filters = architecture.base_filters * 2**level
    for number in (1, 2):
        name = f"{block}_conv{number}"
        options = {"kernel_initializer": initial(), "name": name, "dtype": dtype}
        if isinstance(x, list):
            x = SkipConvolution(filters, **options)(x)
        else:
            x = keras.layers.Conv2D(filters, 3, padding="same", activation="relu", **options)(x)
        x = FusedBatchNormalization(
            momentum=architecture.momentum, name=f"{block}_norm{number}", dtype=dtype
        )(x)
    return x


class _Initial:
    """He-normal initialisers, each with its own seed derived from the run's seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed * 1_000

    def __call__(self) -> keras.initializers.Initializer:
        self._seed += 1
        return keras.initializers.HeNormal(seed=self._seed)

"""The 2-D U-Net of the paper, every layer named by its block.

Blocks in the order of the data: ``enc1`` ... ``enc5``, ``dec4`` ... ``dec1``, ``head``. A layer's
name begins with its block's name and ``_``; freezing, transfer and logs speak in blocks only.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras

from liver_tf.model.normalisation import FusedBatchNormalization
from liver_tf.model.skip_convolution import SkipConvolution

LEVELS = 5
ENCODER = tuple(f"enc{level}" for level in range(1, LEVELS + 1))
DECODER = tuple(f"dec{level}" for level in range(LEVELS - 1, 0, -1))
HEAD = "head"
BLOCKS = (*ENCODER, *DECODER, HEAD)

#: The image is halved between blocks: its side must be a multiple of this.
SIDE_MULTIPLE = 2 ** (LEVELS - 1)


@dataclass(frozen=True)
class Architecture:
    """What decides the shapes of all weights.

    Attributes:
      image_size: side of the square input in pixels, a multiple of 16.
      base_filters: channels of block ``enc1``; each level below has twice as many.
      classes: channels of the output.
      momentum: of the moving statistics of batch normalisation.
    """

    image_size: int
    base_filters: int
    classes: int
    momentum: float = 0.99

    def __post_init__(self) -> None:
        if self.image_size < SIDE_MULTIPLE or self.image_size % SIDE_MULTIPLE:
            raise ValueError(
                f"image_size: expected a multiple of {SIDE_MULTIPLE}, got {self.image_size}"
            )
        if self.base_filters < 1 or self.classes < 2:
            raise ValueError(
                f"expected at least 1 filter and 2 classes, got {self.base_filters} and "
                f"{self.classes}"
            )
        if not 0.0 <= self.momentum < 1.0:
            raise ValueError(f"momentum: expected 0 <= momentum < 1, got {self.momentum}")


#: Numbers in which blocks compute. Weights, logits and the loss are float32 in all of them.
PRECISIONS = ("float32", "float16", "bfloat16")


def build(architecture: Architecture, seed: int = 0, *, precision: str = "float32") -> keras.Model:
    """A functional model: standardised HU [batch, s, s, 1] to logits [batch, s, s, classes].

    The paper's encoder block is 2 x (convolution, ReLU, batch normalisation), pooling between
    blocks; the decoder goes up by transposed convolution and takes the skip connection. The
    softmax stands with the loss and with inference. ``seed`` decides the initial weights.
    ``precision``: one of ``PRECISIONS``; logits are float32 [batch, s, s, classes] in all of them.
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
    x, architecture: Architecture, block: str, level: int, initial: _Initial, dtype
):
    filters = architecture.base_filters * 2**level
    for number in (1, 2):
        options = {
            "kernel_initializer": initial(),
            "name": f"{block}_conv{number}",
            "dtype": dtype,
        }
        if isinstance(x, list):
            x = SkipConvolution(filters, **options)(x)
        else:
            x = keras.layers.Conv2D(filters, 3, padding="same", activation="relu", **options)(x)
        x = FusedBatchNormalization(
            momentum=architecture.momentum, name=f"{block}_norm{number}", dtype=dtype
        )(x)
    return x


class _Initial:
    """He-normal initialisers, each layer with a seed of its own that hangs on the run's seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed * 1_000

    def __call__(self) -> keras.initializers.Initializer:
        self._seed += 1
        return keras.initializers.HeNormal(seed=self._seed)


def block_of(layer_name: str) -> str | None:
    """The block a layer belongs to, or None for the input; ``ValueError`` for a stray layer."""
    if layer_name == "image":
        return None
    block = layer_name.split("_", 1)[0]
    if block not in BLOCKS:
        raise ValueError(f"layer {layer_name!r} belongs to no block of {', '.join(BLOCKS)}")
    return block

"""The settings that determine the shapes of the U-Net's weights. Needs no TensorFlow."""

from dataclasses import dataclass

from liver_tf.model.blocks import LEVELS
from liver_tf.options import OptionError, Options, option

#: The image is halved between blocks: its side must be a multiple of this.
SIDE_MULTIPLE = 2 ** (LEVELS - 1)


@dataclass(frozen=True)
class Architecture(Options):
    """The settings that determine the shapes of all weights, and batch normalisation.

    Attributes:
      base_filters: Channels of block ``enc1``; each level below has twice as many.
      classes: Channels of the output.
    """

    image_size: int = option(
        256, f"Side of the network's input in pixels, a multiple of {SIDE_MULTIPLE}."
    )
    base_filters: int = option(32, "Channels of the first block.", low=1)
    classes: int = 2
    momentum: float = option(
        0.99,
        "Momentum of the moving statistics of batch normalisation.",
        flag="norm_momentum",
        low=0,
        below=1,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.image_size < SIDE_MULTIPLE or self.image_size % SIDE_MULTIPLE:
            raise OptionError(
                "image_size", f"expected a multiple of {SIDE_MULTIPLE}, found {self.image_size}"
            )
        if self.classes < 2:
            raise ValueError(f"classes: expected at least 2, found {self.classes}")

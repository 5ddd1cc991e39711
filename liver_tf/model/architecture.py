"""What decides the shapes of all weights of the U-Net. Needs no TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass

from liver_tf.model.blocks import LEVELS

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

"""How far augmentation goes: the ranges that ``augment`` draws from. Needs no TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass

#: Control points of an elastic deformation that move by up to this share of their spacing fold
#: nothing (Choi and Lee 2000, see ``elastic``).
WITHOUT_FOLDS = 0.48


@dataclass(frozen=True)
class Ranges:
    """How far augmentation goes; the paper gives no numbers, these are ours.

    Attributes:
      rotation_degrees: uniform in +- this. zoom: uniform in 1 +- this.
      shift: uniform in +- this share of the image's side, along its own axes; turned and
        zoomed with the image.
      flip: chance of a horizontal flip (left and right exchanged).
      noise_hu: the SD of Gaussian noise is uniform in 0 to this.
      gain: contrast about the window's centre, uniform in 1 +- this.
      offset_hu: brightness, uniform in +- this.
      elastic: control points of a smooth deformation move by up to this share of the image's
        side; how far, is uniform in 0 to this for each slice.
      elastic_intervals: between control points, along each side.
      gamma: the grey value's share of the window is raised to a power whose logarithm is uniform
        in +- log(1 + this).
      blur_pixels: the SD of a Gaussian blur is uniform in 0 to this; pixels of the network's
        input.
      kept_from: no lesion, of pixels with this label or a higher one, leaves the frame or falls
        between its pixels: shift, zoom and deformation are moderated as far as that needs. 0: off.

    Raises:
      ValueError: where a deformation could fold the image.
    """

    rotation_degrees: float = 15.0
    zoom: float = 0.15
    shift: float = 0.08
    flip: float = 0.5
    noise_hu: float = 12.0
    gain: float = 0.1
    offset_hu: float = 12.0
    elastic: float = 0.0
    elastic_intervals: int = 8
    gamma: float = 0.0
    blur_pixels: float = 0.0
    kept_from: int = 0

    def __post_init__(self) -> None:
        most = WITHOUT_FOLDS / self.elastic_intervals
        if self.elastic > most:
            raise ValueError(
                f"elastic: expected at most {most:.3f} of the side with {self.elastic_intervals} "
                f"intervals between control points, got {self.elastic}: the image would fold"
            )


NO_AUGMENTATION = Ranges(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)

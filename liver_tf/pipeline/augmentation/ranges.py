"""Ranges and defaults of augmentation. No TensorFlow."""

from dataclasses import dataclass, replace

from liver_tf.labels import LabelSet
from liver_tf.options import OptionError, Options, option, part

#: Control points of an elastic deformation that move by up to this share of their spacing fold
#: nothing (Choi and Lee 2000, see ``elastic``).
WITHOUT_FOLDS = 0.48


@dataclass(frozen=True)
class Ranges(Options):
    """Ranges of augmentation; 0 switches a kind off. The paper gives no numbers: these are ours.

    Elastic deformation, gamma, blur, curves and lesion-safe cropping go beyond the paper.

    Attributes:
      kept_from: Lesions are pixels with this label or a higher one. None of them leaves the frame
        or falls between its pixels: shift, zoom and deformation are reduced as needed. 0: off.
    """

    rotation_degrees: float = option(15.0, "Rotation, uniform in +- this.", low=0, high=180)
    zoom: float = option(0.15, "Zoom, uniform in 1 +- this.", low=0, high=0.9)
    shift: float = option(
        0.08,
        "Shift, uniform in +- this share of the image's side, along the axes of the rotated image.",
        low=0,
        high=0.5,
    )
    flip: float = option(
        0.5, "Probability of a horizontal flip (left and right exchanged).", low=0, high=1
    )
    noise_hu: float = option(
        12.0, "Gaussian noise, standard deviation uniform in 0 to this, in HU.", low=0, high=1000
    )
    gain: float = option(
        0.1, "Contrast about the window's centre, uniform in 1 +- this.", low=0, high=0.9
    )
    offset_hu: float = option(12.0, "Brightness, uniform in +- this, in HU.", low=0, high=1000)
    elastic: float = option(
        0.0,
        "Elastic deformation: control points move by up to this share of the image's side (0.02 is "
        f"a strong one), at most {WITHOUT_FOLDS} / --elastic_intervals. The amplitude is uniform "
        "in 0 to this.",
        low=0,
    )
    elastic_intervals: int = option(
        8, "Intervals between control points along each side.", low=1, high=32
    )
    gamma: float = option(
        0.0,
        "Gamma of the window's grey values, its logarithm uniform in +- log(1 + this).",
        low=0,
        high=9,
    )
    blur_pixels: float = option(
        0.0,
        "Gaussian blur, standard deviation uniform in 0 to this, in pixels of the input.",
        low=0,
        high=5,
    )
    kept_from: int = 0
    drawn: float = option(
        0.0,
        "Share of slices whose image is drawn from the tissue map of the record, with a new "
        "contrast phase, attenuation of every organ, artefacts and noise. Needs records of "
        "phantoms made with --tissues.",
        former=0.0,
        low=0,
        high=1,
    )
    curve: float = option(
        0.0,
        "Probability that a slice's HU in the window are mapped by a random increasing curve.",
        low=0,
        high=1,
        former=0.0,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        limit = WITHOUT_FOLDS / self.elastic_intervals
        if self.elastic > limit:
            raise OptionError(
                "elastic",
                f"expected at most {limit:.3f} of the side with {self.elastic_intervals} intervals "
                f"between control points, found {self.elastic}: the image would fold",
            )


@dataclass(frozen=True)
class Augmentation(Options):
    """The options for augmentation, before the labels are known."""

    ranges: Ranges = part(Ranges)
    lesion_safe: bool = option(
        False,
        "Reduce shift, zoom and deformation until no lesion leaves the frame, and restore lesion "
        "pixels that fall between those of the input.",
    )

    def for_labels(self, label_set: LabelSet) -> Ranges:
        """The ranges for labels of ``label_set``; raises ``OptionError`` if it has no lesions."""
        if not self.lesion_safe:
            return self.ranges
        if not label_set.lesions:
            raise OptionError("lesion_safe", "the records have no class of lesions")
        return replace(self.ranges, kept_from=label_set.lesion_labels[0])


NO_AUGMENTATION = Ranges(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)

"""Ranges of augmentation as flags, for training and for the sheet on which a person judges them."""

from __future__ import annotations

import math
from dataclasses import asdict

from absl import app, flags

FLAGS = flags.FLAGS


def define() -> None:
    """Ranges of augmentation; 0 switches one off. The last five go beyond the paper."""

    def number(name: str, default: float, text: str, most: float | None = None) -> None:
        flags.DEFINE_float(name, default, text, lower_bound=0.0, upper_bound=most)

    number("rotation_degrees", 15.0, "Rotation, uniform in +- this.", 180.0)
    number("zoom", 0.15, "Zoom, uniform in 1 +- this.", 0.9)
    number(
        "shift",
        0.08,
        "Shift, uniform in +- this share of the image's side along its own axes; turned and zoomed "
        "with the image.",
        0.5,
    )
    number("flip", 0.5, "Chance of a horizontal flip.", 1.0)
    number("noise_hu", 12.0, "Noise, SD uniform in 0 to this, HU.", 1000.0)
    number("gain", 0.1, "Contrast, uniform in 1 +- this.", 0.9)
    number("offset_hu", 12.0, "Brightness, uniform in +- this, HU.", 1000.0)
    number(
        "elastic",
        0.0,
        "Elastic deformation: control points move by up to this share of the image's side (0.02 is "
        "much); how far is uniform in 0 to this. At most 0.48 / --elastic_intervals.",
    )
    flags.DEFINE_integer(
        "elastic_intervals",
        8,
        "Between the control points, along each side.",
        lower_bound=1,
        upper_bound=32,
    )
    number(
        "gamma", 0.0, "Gamma of the window's grey values: its logarithm in +- log(1 + this).", 9.0
    )
    number("blur_pixels", 0.0, "Gaussian blur, SD uniform in 0 to this, input pixels.", 5.0)
    flags.DEFINE_boolean(
        "lesion_safe",
        False,
        "Shift, zoom and deformation are moderated until no lesion leaves the frame, what falls "
        "between its pixels put back.",
    )


def ranges(label_set):
    """``Ranges`` as the flags say, for labels of ``label_set``; raises ``app.UsageError``."""
    from liver_tf.pipeline.augmentation_ranges import Ranges

    if FLAGS.lesion_safe and not label_set.lesions:
        raise app.UsageError("--lesion_safe: there is no class of lesions to keep")
    try:
        asked = Ranges(
            rotation_degrees=FLAGS.rotation_degrees,
            zoom=FLAGS.zoom,
            shift=FLAGS.shift,
            flip=FLAGS.flip,
            noise_hu=FLAGS.noise_hu,
            gain=FLAGS.gain,
            offset_hu=FLAGS.offset_hu,
            elastic=FLAGS.elastic,
            elastic_intervals=FLAGS.elastic_intervals,
            gamma=FLAGS.gamma,
            blur_pixels=FLAGS.blur_pixels,
            kept_from=label_set.lesion_labels[0] if FLAGS.lesion_safe else 0,
        )
    except ValueError as error:
        raise app.UsageError(f"--{error}") from None
    for name, value in asdict(asked).items():
        if not math.isfinite(value):  # NaN passes the bounds of a flag
            raise app.UsageError(f"--{name}: expected a finite number, got {value}")
    return asked

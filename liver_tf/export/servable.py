"""The cascade behind signatures of named inputs and outputs, as a server offers them."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from liver_tf.inference.cascade import Cascade
from liver_tf.labels import LIVER

#: The signatures of slices, each slice by itself, and the one of a scan.
SLICES, INT16, PROBABILITIES, DICOM_PIXELS, VOLUME = (
    "serving_default",
    "hu_int16",
    "probabilities",
    "dicom_pixels",
    "volume",
)

_SPACINGS = tf.TensorSpec([None, 2], tf.float32, name="spacing_mm")
_FLOAT_HU = tf.TensorSpec([None, None, None], tf.float32, name="hu")
_INT16_HU = tf.TensorSpec([None, None, None], tf.int16, name="hu")
_STORED = tf.TensorSpec([None, None, None], tf.int32, name="stored")


class Weights(tf.Module):
    """What a SavedModel keeps of the cascade besides signatures: not its own functions."""

    def __init__(self, cascade: Cascade) -> None:
        super().__init__()
        self.weights = list(cascade.variables)


def signatures_of(cascade: Cascade) -> dict[str, Callable]:
    """Functions by the name of their signature.

    Slices are ``hu`` [batch, rows, columns], Hounsfield units in canonical orientation, each by
    itself, of any size; ``spacing_mm`` float32 [batch, 2] (row, column), or [1, 2] for all of
    them, 0 where unknown, may be left out.

    ``serving_default`` (``hu`` float32) and ``hu_int16`` (``hu`` int16, half the size) answer with
    ``label_map`` uint8 [batch, rows, columns]; ``found_lesion`` bool [batch]; ``diagnosis`` int32
    [batch], the majority class among lesion pixels, 0 where there is none;
    ``diagnosis_probability`` float32 [batch, lesion types], the mean over lesion pixels of the
    types' probabilities, scaled to sum to one; ``liver_area_mm2`` and ``lesion_area_mm2`` float32
    [batch], NaN where the spacing is unknown.

    ``probabilities`` (``hu`` float32) answers with ``probabilities`` float16 [batch, rows, columns,
    classes], all zero outside of the ROI.

    ``dicom_pixels`` takes ``stored`` int32 [batch, rows, columns], ``slope`` and ``intercept``
    float32 [batch] (PS3.3 C.11.1: HU = stored * slope + intercept) and answers as
    ``serving_default``.

    ``volume`` takes ``hu`` int16 [slices, rows, columns], one scan from the feet to the head, and
    ``spacing_mm`` float32 [3] (slice, row, column), and answers with ``label_map`` uint8 [slices,
    rows, columns] and, of the scan, ``found_lesion``, ``diagnosis``, ``diagnosis_probability``
    [lesion types], ``liver_ml`` and ``lesion_ml``.

    HU that are no numbers and empty requests fail with ``InvalidArgumentError``.
    """
    classes = len(cascade.label_set)

    # One function for all, which is written once.
    @tf.function(input_signature=[_FLOAT_HU, _SPACINGS])
    def cascaded(hu: tf.Tensor, spacing_mm: tf.Tensor) -> dict[str, tf.Tensor]:
        hu = _checked(hu)
        spacing_mm = tf.broadcast_to(spacing_mm, [tf.shape(hu)[0], 2])
        outputs = cascade.slice_by_slice(hu, spacing_mm)
        return {**outputs, "spacing_mm": spacing_mm}

    unknown = tf.zeros([1, 2])

    @tf.function(input_signature=[_FLOAT_HU, _SPACINGS])
    def slices(hu: tf.Tensor, spacing_mm: tf.Tensor = unknown) -> dict[str, tf.Tensor]:
        return _answer(cascaded(hu, spacing_mm), classes)

    @tf.function(input_signature=[_INT16_HU, _SPACINGS])
    def whole_numbers(hu: tf.Tensor, spacing_mm: tf.Tensor = unknown) -> dict[str, tf.Tensor]:
        return _answer(cascaded(tf.cast(hu, tf.float32), spacing_mm), classes)

    @tf.function(input_signature=[_FLOAT_HU, _SPACINGS])
    def probabilities(hu: tf.Tensor, spacing_mm: tf.Tensor = unknown) -> dict[str, tf.Tensor]:
        maps = cascaded(hu, spacing_mm)["probabilities"]
        return {"probabilities": tf.cast(maps, tf.float16)}

    @tf.function(
        input_signature=[
            _STORED,
            tf.TensorSpec([None], tf.float32, name="slope"),
            tf.TensorSpec([None], tf.float32, name="intercept"),
            _SPACINGS,
        ]
    )
    def dicom_pixels(stored, slope, intercept, spacing_mm=unknown) -> dict[str, tf.Tensor]:
        # In 64 bits, as whoever reads files of these pixels does.
        slope, intercept = (tf.cast(one, tf.float64)[:, None, None] for one in (slope, intercept))
        hu = tf.cast(stored, tf.float64) * slope + intercept
        return _answer(cascaded(tf.cast(hu, tf.float32), spacing_mm), classes)

    return {
        SLICES: slices,
        INT16: whole_numbers,
        PROBABILITIES: probabilities,
        DICOM_PIXELS: dicom_pixels,
    }


def _checked(hu: tf.Tensor) -> tf.Tensor:
    finite = tf.debugging.Assert(
        tf.reduce_all(tf.math.is_finite(hu)), ["hu: expected finite Hounsfield units"]
    )
    some = tf.debugging.Assert(
        tf.size(hu) > 0, ["hu: expected at least one slice of at least one pixel"]
    )
    with tf.control_dependencies([finite, some]):
        return tf.identity(hu)


def _answer(outputs: dict[str, tf.Tensor], classes: int) -> dict[str, tf.Tensor]:
    labels = tf.cast(outputs["label_map"], tf.int32)
    spacing_mm = outputs["spacing_mm"]
    known = tf.reduce_all(spacing_mm > 0.0, axis=1)
    pixel_mm2 = tf.where(known, tf.reduce_prod(spacing_mm, axis=1), float("nan"))
    pixels = tf.reduce_sum(tf.one_hot(labels, classes), axis=[1, 2])
    lesion_pixels = pixels[:, LIVER + 1 :]
    found = tf.reduce_sum(lesion_pixels, axis=1) > 0.0
    majority = tf.argmax(lesion_pixels, axis=1, output_type=tf.int32) + LIVER + 1
    lesion = tf.cast(labels > LIVER, tf.float32)[..., None]
    types = tf.reduce_sum(outputs["probabilities"][..., LIVER + 1 :] * lesion, axis=[1, 2])
    liver = tf.reduce_sum(tf.cast(outputs["liver"], tf.float32), axis=[1, 2])
    return {
        "label_map": outputs["label_map"],
        "found_lesion": found,
        "diagnosis": tf.where(found, majority, 0),
        "diagnosis_probability": tf.math.divide_no_nan(
            types, tf.reduce_sum(types, axis=1, keepdims=True)
        ),
        "liver_area_mm2": liver * pixel_mm2,
        "lesion_area_mm2": tf.reduce_sum(lesion_pixels, axis=1) * pixel_mm2,
    }

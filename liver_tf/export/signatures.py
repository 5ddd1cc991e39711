"""The cascade behind signatures of named inputs and outputs, as a server offers them."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from liver_tf.export.signature_checks import checked_scan, checked_slices, checked_stored
from liver_tf.inference.cascade import Cascade
from liver_tf.inference.roi_box import paste
from liver_tf.inference.scan_graph import scan_by_graph
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


def signatures_of(cascade: Cascade, *, found_as_uint8: bool = False) -> dict[str, Callable]:
    """Functions by the name of their signature.

    ``found_as_uint8``: ``found_liver`` and ``found_lesion`` as uint8, 0 or 1, instead of bool:
    OpenVINO Model Server sends no bool.

    Slices are ``hu`` [batch, rows, columns], Hounsfield units in canonical orientation, each by
    itself, of any size; ``spacing_mm`` float32 [batch, 2] (row, column), or [1, 2] for all of
    them, 0 where unknown, may be left out.

    ``serving_default`` (``hu`` float32) and ``hu_int16`` (``hu`` int16, half the size) answer with
    ``label_map`` uint8 [batch, rows, columns]; ``found_liver`` and ``found_lesion`` bool [batch]
    (without a liver nothing was looked for, which is not the same as a healthy one); ``diagnosis``
    int32 [batch], the majority class among lesion pixels, 0 where there is none;
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
    rows, columns] and, of the scan, ``found_liver``, ``found_lesion``, ``diagnosis``,
    ``diagnosis_probability`` [lesion types], ``liver_ml`` and ``lesion_ml``.

    What cannot be HU, spacings of no CT and empty requests fail with ``InvalidArgumentError``, by
    :mod:`liver_tf.export.signature_checks`.
    """
    classes = len(cascade.label_set)

    def told(answer: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        if not found_as_uint8:
            return answer
        found = {name: value for name, value in answer.items() if value.dtype == tf.bool}
        return {**answer, **{name: tf.cast(value, tf.uint8) for name, value in found.items()}}

    # One function for all, which is written once.
    @tf.function(input_signature=[_FLOAT_HU, _SPACINGS])
    def cascaded(hu: tf.Tensor, spacing_mm: tf.Tensor) -> dict[str, tf.Tensor]:
        hu, spacing_mm = checked_slices(hu, spacing_mm)
        spacing_mm = tf.broadcast_to(spacing_mm, [tf.shape(hu)[0], 2])
        outputs = cascade.slice_by_slice(hu, spacing_mm)
        return {**outputs, "spacing_mm": spacing_mm}

    # The default signature has no default spacing: OpenVINO would make a constant of it.
    @tf.function(input_signature=[_FLOAT_HU, _SPACINGS])
    def slices(hu: tf.Tensor, spacing_mm: tf.Tensor) -> dict[str, tf.Tensor]:
        return told(_answer(cascaded(hu, spacing_mm), classes))

    unknown = tf.zeros([1, 2])

    @tf.function(input_signature=[_INT16_HU, _SPACINGS])
    def whole_numbers(hu: tf.Tensor, spacing_mm: tf.Tensor = unknown) -> dict[str, tf.Tensor]:
        return told(_answer(cascaded(tf.cast(hu, tf.float32), spacing_mm), classes))

    @tf.function(input_signature=[_FLOAT_HU, _SPACINGS])
    def probabilities(hu: tf.Tensor, spacing_mm: tf.Tensor = unknown) -> dict[str, tf.Tensor]:
        outputs = cascaded(hu, spacing_mm)
        maps = tf.cast(outputs["probabilities"], tf.float16)
        size = tf.shape(hu)[1:3]
        pasted = [paste(maps[..., label], outputs["origin"], size) for label in range(classes)]
        return {"probabilities": tf.stack(pasted, axis=-1)}

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
        stored = checked_stored(stored, slope, intercept)
        slope, intercept = (tf.cast(one, tf.float64)[:, None, None] for one in (slope, intercept))
        hu = tf.cast(stored, tf.float64) * slope + intercept
        return told(_answer(cascaded(tf.cast(hu, tf.float32), spacing_mm), classes))

    @tf.function(input_signature=[_INT16_HU, tf.TensorSpec([3], tf.float32, name="spacing_mm")])
    def volume(hu: tf.Tensor, spacing_mm: tf.Tensor) -> dict[str, tf.Tensor]:
        hu, spacing_mm = checked_scan(hu, spacing_mm)
        outputs = scan_by_graph(cascade, hu, spacing_mm[1:])
        lesions = _counts(outputs["label_map"][None], classes)[0]
        known = tf.reduce_all(spacing_mm > 0.0)
        voxel_ml = tf.where(known, tf.reduce_prod(spacing_mm) / 1000.0, float("nan"))
        answer = {
            "label_map": outputs["label_map"],
            "found_liver": outputs["liver_voxels"] > 0,
            **_diagnosis(lesions),
            "diagnosis_probability": outputs["type_probabilities"],
            "liver_ml": tf.cast(outputs["liver_voxels"], tf.float32) * voxel_ml,
            "lesion_ml": tf.cast(tf.reduce_sum(lesions), tf.float32) * voxel_ml,
        }
        return told(answer)

    return {
        SLICES: slices,
        INT16: whole_numbers,
        PROBABILITIES: probabilities,
        DICOM_PIXELS: dicom_pixels,
        VOLUME: volume,
    }


def _answer(outputs: dict[str, tf.Tensor], classes: int) -> dict[str, tf.Tensor]:
    spacing_mm = outputs["spacing_mm"]
    known = tf.reduce_all(spacing_mm > 0.0, axis=1)
    pixel_mm2 = tf.where(known, tf.reduce_prod(spacing_mm, axis=1), float("nan"))
    lesions = _counts(outputs["label_map"][:, None], classes)
    liver = tf.math.count_nonzero(outputs["liver"], axis=[1, 2], dtype=tf.int32)
    return {
        "label_map": outputs["label_map"],
        "found_liver": liver > 0,
        **_diagnosis(lesions),
        "diagnosis_probability": outputs["type_probabilities"],
        "liver_area_mm2": tf.cast(liver, tf.float32) * pixel_mm2,
        "lesion_area_mm2": tf.cast(tf.reduce_sum(lesions, axis=1), tf.float32) * pixel_mm2,
    }


def _counts(label_map: tf.Tensor, classes: int) -> tf.Tensor:
    """Pixels of every type of lesion, int32 [batch, types], of [batch, slices, rows, columns]."""
    axes = list(range(1, 4))
    return tf.stack(
        [
            tf.math.count_nonzero(label_map == label, axis=axes, dtype=tf.int32)
            for label in range(LIVER + 1, classes)
        ],
        axis=1,
    )


def _diagnosis(lesions: tf.Tensor) -> dict[str, tf.Tensor]:
    """``found_lesion`` and ``diagnosis`` of pixel counts [..., types]; ties: the lower label."""
    found = tf.reduce_any(lesions > 0, axis=-1)
    majority = tf.argmax(lesions, axis=-1, output_type=tf.int32) + LIVER + 1
    return {"found_lesion": found, "diagnosis": tf.where(found, majority, 0)}

"""The signatures of the exported model: named inputs and outputs around the cascade."""

from collections.abc import Callable

import tensorflow as tf

from liver_tf.export.signature_checks import checked_scan, checked_slices, checked_stored
from liver_tf.inference.cascade import Cascade
from liver_tf.inference.roi_box import paste
from liver_tf.inference.scan_graph import one_type_per_lesion, scan_by_graph
from liver_tf.labels import LIVER

#: Signatures for independent slices, and for a scan.
SLICES, INT16, PROBABILITIES = "serving_default", "hu_int16", "probabilities"
DICOM_PIXELS, VOLUME = "dicom_pixels", "volume"

_SPACINGS = tf.TensorSpec([None, 2], tf.float32, name="spacing_mm")
_FLOAT_HU = tf.TensorSpec([None, None, None], tf.float32, name="hu")
_INT16_HU = tf.TensorSpec([None, None, None], tf.int16, name="hu")
_STORED = tf.TensorSpec([None, None, None], tf.int32, name="stored")


def signatures_of(
    cascade: Cascade,
    *,
    found_as_uint8: bool = False,
    model_id: int = 0,
    type_threshold: float | None = None,
) -> dict[str, Callable]:
    """Functions by the name of their signature; see ``docs/serving.md`` for inputs and outputs.

    Independent slices are ``hu`` [batch, rows, columns] with ``spacing_mm`` [batch or 1, 2];
    ``volume`` takes one scan, ``hu`` [slices, rows, columns] and ``spacing_mm`` [3]. Invalid
    requests fail with ``InvalidArgumentError``, see ``signature_checks``.

    Args:
      found_as_uint8: Return ``found_liver`` and ``found_lesion`` as uint8 instead of bool, which
        OpenVINO Model Server cannot send.
      model_id: A number of the model, below 2**31, which every answer on slices repeats.
      type_threshold: Of ``volume``, whose label map then has one type per lesion (see
        ``one_type_per_lesion``); None keeps the type of each voxel.
    """
    classes = len(cascade.label_set)

    def converted(answer: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        if not found_as_uint8:
            return answer
        flags = {name: value for name, value in answer.items() if value.dtype == tf.bool}
        return {**answer, **{name: tf.cast(value, tf.uint8) for name, value in flags.items()}}

    # One function for all signatures, so that the file contains it once.
    @tf.function(input_signature=[_FLOAT_HU, _SPACINGS], autograph=False)
    def cascaded(hu: tf.Tensor, spacing_mm: tf.Tensor) -> dict[str, tf.Tensor]:
        hu, spacing_mm = checked_slices(hu, spacing_mm)
        spacing_mm = tf.broadcast_to(spacing_mm, [tf.shape(hu)[0], 2])
        outputs = cascade.slice_by_slice(hu, spacing_mm)
        numbers = tf.fill([tf.shape(hu)[0]], tf.constant(model_id, tf.int32))
        return {**outputs, "spacing_mm": spacing_mm, "model_id": numbers}

    # No default spacing here: OpenVINO would make a constant of it.
    @tf.function(input_signature=[_FLOAT_HU, _SPACINGS], autograph=False)
    def slices(hu: tf.Tensor, spacing_mm: tf.Tensor) -> dict[str, tf.Tensor]:
        return converted(_answer(cascaded(hu, spacing_mm), classes))

    unknown = tf.zeros([1, 2])

    @tf.function(input_signature=[_INT16_HU, _SPACINGS], autograph=False)
    def whole_numbers(hu: tf.Tensor, spacing_mm: tf.Tensor = unknown) -> dict[str, tf.Tensor]:
        return converted(_answer(cascaded(tf.cast(hu, tf.float32), spacing_mm), classes))

    @tf.function(input_signature=[_FLOAT_HU, _SPACINGS], autograph=False)
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
        ],
        autograph=False,
    )
    def dicom_pixels(stored, slope, intercept, spacing_mm=unknown) -> dict[str, tf.Tensor]:
        # In 64 bits, as when DICOM files are read.
        stored = checked_stored(stored, slope, intercept)
        slope, intercept = (tf.cast(s, tf.float64)[:, None, None] for s in (slope, intercept))
        hu = tf.cast(stored, tf.float64) * slope + intercept
        return converted(_answer(cascaded(tf.cast(hu, tf.float32), spacing_mm), classes))

    @tf.function(
        input_signature=[_INT16_HU, tf.TensorSpec([3], tf.float32, name="spacing_mm")],
        autograph=False,
    )
    def volume(hu: tf.Tensor, spacing_mm: tf.Tensor) -> dict[str, tf.Tensor]:
        hu, spacing_mm = checked_scan(hu, spacing_mm)
        outputs = scan_by_graph(cascade, hu, spacing_mm)
        lesions = _pixels_by_type(outputs["label_map"][None], classes)[0]
        known = tf.reduce_all(spacing_mm > 0.0)
        voxel_ml = tf.where(known, tf.reduce_prod(spacing_mm) / 1000.0, float("nan"))
        label_map = outputs["label_map"]
        if type_threshold is not None and classes > LIVER + 2:
            label_map = one_type_per_lesion(label_map, outputs["probabilities"], type_threshold)
        answer = {
            "label_map": label_map,
            "found_liver": outputs["liver_voxels"] > 0,
            **_diagnosis(lesions),
            "diagnosis_probability": outputs["type_probabilities"],
            "liver_ml": tf.cast(outputs["liver_voxels"], tf.float32) * voxel_ml,
            "lesion_ml": tf.cast(tf.reduce_sum(lesions), tf.float32) * voxel_ml,
        }
        return converted(answer)

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
    lesions = _pixels_by_type(outputs["label_map"][:, None], classes)
    liver = tf.math.count_nonzero(outputs["liver"], axis=[1, 2], dtype=tf.int32)
    return {
        "label_map": outputs["label_map"],
        "found_liver": liver > 0,
        **_diagnosis(lesions),
        "diagnosis_probability": outputs["type_probabilities"],
        "liver_area_mm2": tf.cast(liver, tf.float32) * pixel_mm2,
        "lesion_area_mm2": tf.cast(tf.reduce_sum(lesions, axis=1), tf.float32) * pixel_mm2,
        "model_id": outputs["model_id"],
    }


def _pixels_by_type(label_map: tf.Tensor, classes: int) -> tf.Tensor:
    """Pixels per lesion type, int32 [batch, types], of labels [batch, slices, rows, columns]."""
    return tf.stack(
        [
            tf.math.count_nonzero(label_map == label, axis=[1, 2, 3], dtype=tf.int32)
            for label in range(LIVER + 1, classes)
        ],
        axis=1,
    )


def _diagnosis(lesions: tf.Tensor) -> dict[str, tf.Tensor]:
    """``found_lesion`` and ``diagnosis`` of pixel counts [..., types]; ties: the lower label."""
    found = tf.reduce_any(lesions > 0, axis=-1)
    majority = tf.argmax(lesions, axis=-1, output_type=tf.int32) + LIVER + 1
    return {"found_lesion": found, "diagnosis": tf.where(found, majority, 0)}

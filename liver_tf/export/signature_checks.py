"""Request validation in the graph, with messages for the client.

The rules for files apply (:mod:`liver_tf.ct.hu_plausibility`). OpenVINO ignores these checks, so
clients check too (:mod:`liver_tf.serving.model_clients`).
"""

import tensorflow as tf

from liver_tf.ct.hu_plausibility import (
    FIELD_LIMITS_MM,
    HU_LIMITS,
    SMALLEST_SPREAD_HU,
    SPACING_LIMITS_MM,
)

EMPTY = "hu: expected at least one slice of at least one pixel"
NOT_FINITE = (
    "hu: expected finite Hounsfield units, found NaN or infinite ones. Fill padding with air "
    "(-1000)."
)
IMPOSSIBLE = (
    f"hu: expected Hounsfield units from {HU_LIMITS[0]} to {HU_LIMITS[1]}, found others. Check "
    "slope and intercept."
)
UNSCALED = (
    "hu: expected Hounsfield units of a complete slice, with air and fat below 0 and a range of at "
    f"least {SMALLEST_SPREAD_HU}. Found values that look unscaled: apply RescaleSlope and "
    "RescaleIntercept, or use the signature dicom_pixels."
)
SPACINGS = (
    "spacing_mm: expected [batch, 2] (row, column), one spacing for each slice, or [1, 2] for all "
    "of them; 0 where it is unknown"
)
SPACING = (
    "spacing_mm: expected {:g} to {:g} mm, or 0 where it is unknown, found others (negative, NaN "
    "or another unit?)".format(*SPACING_LIMITS_MM)
)
FIELD = (
    "spacing_mm: expected slices whose longer side is {:g} to {:g} mm, found others. Check the "
    "unit, or give 0 where the spacing is unknown".format(*FIELD_LIMITS_MM)
)
SCALES = "slope, intercept: expected [batch], one for each slice, or [1] for all of them"


def checked_slices(hu: tf.Tensor, spacing_mm: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Check each slice of float32 [batch, rows, columns], and spacings [batch or 1, 2]."""
    checks = [
        *_of_hu(hu, [1, 2]),
        _assertion(_one_or(tf.shape(spacing_mm)[0], tf.shape(hu)[0]), SPACINGS),
        *_of_spacing(hu, spacing_mm),
    ]
    with tf.control_dependencies(checks):
        return tf.identity(hu), tf.identity(spacing_mm)


def checked_scan(hu: tf.Tensor, spacing_mm: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Check a scan, [slices, rows, columns], as a whole, and its spacing [3].

    The slice spacing has no upper limit.
    """
    slice_mm = spacing_mm[0]
    possible = (slice_mm == 0.0) | (
        tf.math.is_finite(slice_mm) & (slice_mm >= SPACING_LIMITS_MM[0])
    )
    checks = [
        *_of_hu(hu, [0, 1, 2]),
        *_of_spacing(hu, spacing_mm[None, 1:]),
        _assertion(possible, SPACING),
    ]
    with tf.control_dependencies(checks):
        return tf.identity(hu), tf.identity(spacing_mm)


def checked_stored(stored: tf.Tensor, slope: tf.Tensor, intercept: tf.Tensor) -> tf.Tensor:
    """Check the shapes of stored values [batch, rows, columns] and of their scales [batch or 1]."""
    batch = tf.shape(stored)[0]
    checks = [_assertion(_one_or(tf.size(s), batch), SCALES) for s in (slope, intercept)]
    with tf.control_dependencies(checks):
        return tf.identity(stored)


def _of_hu(hu: tf.Tensor, axes: list[int]) -> list[tf.Operation]:
    checks = [_assertion(tf.size(hu) > 0, EMPTY)]
    with tf.control_dependencies(checks):
        values = tf.cast(hu, tf.float32)
    if hu.dtype.is_floating:
        checks.append(_assertion(tf.reduce_all(tf.math.is_finite(values)), NOT_FINITE))
    with tf.control_dependencies(checks):
        low, high = tf.reduce_min(values, axes), tf.reduce_max(values, axes)
    possible = tf.reduce_all((low >= HU_LIMITS[0]) & (high <= HU_LIMITS[1]))
    checks.append(_assertion(possible, IMPOSSIBLE))
    with tf.control_dependencies(checks):
        scaled = tf.reduce_all((low < 0.0) & (high - low >= SMALLEST_SPREAD_HU))
    return [*checks, _assertion(scaled, UNSCALED)]


def _of_spacing(hu: tf.Tensor, spacing_mm: tf.Tensor) -> list[tf.Operation]:
    """Spacing determines the size of the ROI; with a wrong one lesions are missed."""
    low, high = SPACING_LIMITS_MM
    possible = (spacing_mm == 0.0) | ((spacing_mm >= low) & (spacing_mm <= high))  # not of NaN
    longer = tf.reduce_max(spacing_mm * tf.cast(tf.shape(hu)[1:3], tf.float32), axis=1)
    fields = (longer == 0.0) | ((longer >= FIELD_LIMITS_MM[0]) & (longer <= FIELD_LIMITS_MM[1]))
    checks = [_assertion(tf.reduce_all(possible), SPACING)]
    with tf.control_dependencies(checks):
        return [*checks, _assertion(tf.reduce_all(fields), FIELD)]


def _one_or(count: tf.Tensor, batch: tf.Tensor) -> tf.Tensor:
    return (count == 1) | (count == batch)


def _assertion(condition: tf.Tensor, message: str) -> tf.Operation:
    return tf.debugging.Assert(condition, [message])

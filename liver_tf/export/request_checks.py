"""What a request must hold, checked in the graph, with words for whoever sent it.

The rules are those by which files are refused (:mod:`liver_tf.ct.check`): an answer about pixels
that are no HU would be as wrong as it looks right. OpenVINO leaves assertions out of what it runs.
"""

from __future__ import annotations

import tensorflow as tf

from liver_tf.ct.check import HU_LIMITS, SMALLEST_SPREAD_HU

EMPTY = "hu: expected at least one slice of at least one pixel"
NOT_FINITE = (
    "hu: expected finite Hounsfield units, got NaN or infinite ones. Fill padding with air (-1000)."
)
IMPOSSIBLE = (
    f"hu: expected Hounsfield units from {HU_LIMITS[0]} to {HU_LIMITS[1]}, got others. Check slope "
    "and intercept."
)
UNSCALED = (
    "hu: expected Hounsfield units of a whole slice: air and fat lie below 0, tissues "
    f"{SMALLEST_SPREAD_HU} and more apart. Got values that look unscaled: apply RescaleSlope and "
    "RescaleIntercept, or use the signature dicom_pixels."
)
SPACINGS = (
    "spacing_mm: expected [batch, 2] (row, column), one spacing for each slice, or [1, 2] for all "
    "of them; 0 where it is unknown"
)
SCALES = "slope, intercept: expected [batch], one for each slice, or [1] for all of them"


def checked_slices(hu: tf.Tensor, spacing_mm: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The same, of slices float32 [batch, rows, columns] each by itself, and [batch or 1, 2]."""
    checks = [
        *_of_hu(hu, [1, 2]),
        _assertion(_one_or(tf.shape(spacing_mm)[0], tf.shape(hu)[0]), SPACINGS),
    ]
    with tf.control_dependencies(checks):
        return tf.identity(hu), tf.identity(spacing_mm)


def checked_scan(hu: tf.Tensor) -> tf.Tensor:
    """The same, of a scan [slices, rows, columns], whose slices are judged together."""
    with tf.control_dependencies(_of_hu(hu, [0, 1, 2])):
        return tf.identity(hu)


def checked_stored(stored: tf.Tensor, slope: tf.Tensor, intercept: tf.Tensor) -> tf.Tensor:
    """The same, of stored values [batch, rows, columns] whose scales are [batch or 1]."""
    batch = tf.shape(stored)[0]
    checks = [_assertion(_one_or(tf.size(one), batch), SCALES) for one in (slope, intercept)]
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


def _one_or(count: tf.Tensor, batch: tf.Tensor) -> tf.Tensor:
    return (count == 1) | (count == batch)


def _assertion(holds: tf.Tensor, words: str) -> tf.Operation:
    return tf.debugging.Assert(holds, [words])

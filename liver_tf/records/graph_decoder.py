"""Decoding a record in a TensorFlow graph, for the training pipeline.

The pixel encoding is known from the manifest when the graph is built; only the dtype of the image
is decided per record. A graph that also chose the encoding per record took twice as long.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from liver_tf.records.pixel_encoding import PNG, PNG_OFFSET, ZLIB, encoding_of
from liver_tf.records.record_schema import SCHEMA_VERSION

_FEATURES = {
    "schema": tf.io.FixedLenFeature([], tf.int64),
    "image": tf.io.FixedLenFeature([], tf.string),
    "image/dtype": tf.io.FixedLenFeature([], tf.string),
    "labels": tf.io.FixedLenFeature([], tf.string),
    # Absent in records of version 1, which are refused for their version.
    "encoding": tf.io.FixedLenFeature([], tf.string, ""),
    "size": tf.io.FixedLenFeature([2], tf.int64),
    "example": tf.io.FixedLenFeature([], tf.int64),
}


def record_parser(
    encoding: str, tissues: bool = False
) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """``record_schema.decode`` as a graph, for records with the ``encoding`` of their manifest.

    Args:
      tissues: Also decode ``tissues``, uint8 [rows, columns], which every record must have.

    Returns:
      A function of a serialised record (scalar string) that returns ``image`` float32 [rows,
      columns] in HU, ``labels`` uint8 [rows, columns], ``example`` int64 scalar. A record of
      another schema version or encoding fails with ``InvalidArgumentError``.
    """
    of_floats = encoding_of(np.empty(0, np.float32), encoding)
    features = dict(_FEATURES)
    if tissues:
        features["tissues"] = tf.io.FixedLenFeature([], tf.string)

    def parse(serialised: tf.Tensor) -> dict[str, tf.Tensor]:
        record = tf.io.parse_single_example(serialised, features)
        whole = tf.equal(record["image/dtype"], "int16")
        with tf.control_dependencies(_checked(record, whole, encoding, of_floats)):
            labels = tf.identity(record["labels"])
            image = tf.identity(record["image"])

        def of_whole_numbers() -> tf.Tensor:
            return tf.cast(_decode(image, tf.int16, encoding), tf.float32)

        def of_fractions() -> tf.Tensor:
            return _decode(image, tf.float32, of_floats)

        if encoding == of_floats:
            pixels = tf.cond(whole, of_whole_numbers, of_fractions)
            labels = _decode(labels, tf.uint8, encoding)
        else:
            pixels, labels = tf.cond(
                whole,
                lambda: (of_whole_numbers(), _decode(labels, tf.uint8, encoding)),
                lambda: (of_fractions(), _decode(labels, tf.uint8, of_floats)),
            )
        maps = {}
        if tissues:
            # Slices of phantoms have whole HU, and so the encoding of the manifest.
            codes = _decode(record["tissues"], tf.uint8, encoding)
            maps["tissues"] = tf.reshape(codes, record["size"])
        return maps | {
            "image": tf.reshape(pixels, record["size"]),
            "labels": tf.reshape(labels, record["size"]),
            "example": record["example"],
        }

    return parse


def _checked(
    record: dict[str, tf.Tensor], whole: tf.Tensor, encoding: str, of_floats: str
) -> list[tf.Operation]:
    """Checks to run before decoding. ``tf.debugging.assert_equal`` would add a branch instead."""
    encoded = tf.equal(record["encoding"], encoding)
    of_floats_then = tf.equal(record["image/dtype"], "float32")
    if encoding == of_floats:
        stored = tf.logical_and(encoded, tf.logical_or(whole, of_floats_then))
    else:
        of_floats_then = tf.logical_and(of_floats_then, tf.equal(record["encoding"], of_floats))
        stored = tf.logical_or(tf.logical_and(encoded, whole), of_floats_then)
    fits = tf.logical_and(tf.equal(record["schema"], SCHEMA_VERSION), stored)
    check = tf.raw_ops.Assert(
        condition=fits,
        data=[
            f"record schema version, pixel type, pixel encoding: expected {SCHEMA_VERSION}, "
            f"int16 or float32, {encoding} as in the manifest; found",
            *(record[name] for name in ("schema", "image/dtype", "encoding")),
        ],
    )
    # In eager mode the check has already run.
    return [] if check is None else [check]


def _decode(data: tf.Tensor, dtype: tf.DType, encoding: str) -> tf.Tensor:
    """Decode stored pixels to a flat tensor."""
    if encoding == PNG:
        if dtype == tf.uint8:
            return tf.reshape(tf.io.decode_png(data, 1), [-1])
        values = tf.cast(tf.io.decode_png(data, 1, tf.uint16), tf.int32)
        return tf.reshape(tf.cast(values - PNG_OFFSET, dtype), [-1])
    if encoding == ZLIB:
        data = tf.io.decode_compressed(data, "ZLIB")
    return tf.io.decode_raw(data, dtype)

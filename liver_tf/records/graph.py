"""Decoding a record inside of a TensorFlow graph, for the training pipeline."""

from __future__ import annotations

import tensorflow as tf

from liver_tf.records.pixels import ENCODINGS, PNG_OFFSET
from liver_tf.records.schema import SCHEMA_VERSION


def parse(serialised: tf.Tensor) -> dict[str, tf.Tensor]:
    """``schema.decode`` as a graph: a scalar string to the tensors that training needs.

    Returns ``image`` float32 [rows, columns] in HU, ``labels`` uint8 [rows, columns], ``example``
    int64 scalar. A record of another schema version fails with ``InvalidArgumentError``.
    """
    parsed = tf.io.parse_single_example(
        serialised,
        {
            "schema": tf.io.FixedLenFeature([], tf.int64),
            "image": tf.io.FixedLenFeature([], tf.string),
            "image/dtype": tf.io.FixedLenFeature([], tf.string),
            "labels": tf.io.FixedLenFeature([], tf.string),
            # Records of the first version had none, and shall be refused for their version.
            "encoding": tf.io.FixedLenFeature([], tf.string, ""),
            "size": tf.io.FixedLenFeature([2], tf.int64),
            "example": tf.io.FixedLenFeature([], tf.int64),
        },
    )
    tf.debugging.assert_equal(
        parsed["schema"], tf.constant(SCHEMA_VERSION, tf.int64), "record schema version"
    )
    image, labels, dtype = parsed["image"], parsed["labels"], parsed["image/dtype"]
    known = tf.constant(ENCODINGS)
    place = tf.argmax(tf.cast(tf.equal(known, parsed["encoding"]), tf.int32), output_type=tf.int32)
    tf.debugging.assert_equal(known[place], parsed["encoding"], "pixel encoding")
    pixels, labels = tf.switch_case(
        place,
        [
            lambda: (_numbers(image, dtype), tf.io.decode_raw(labels, tf.uint8)),
            lambda: (
                _numbers(tf.io.decode_compressed(image, "ZLIB"), dtype),
                tf.io.decode_raw(tf.io.decode_compressed(labels, "ZLIB"), tf.uint8),
            ),
            lambda: (_from_png(image), tf.reshape(tf.io.decode_png(labels, 1), [-1])),
        ],
    )
    return {
        "image": tf.reshape(pixels, parsed["size"]),
        "labels": tf.reshape(labels, parsed["size"]),
        "example": parsed["example"],
    }


def _numbers(data: tf.Tensor, dtype: tf.Tensor) -> tf.Tensor:
    """Little-endian int16 or float32 as float32, flat."""
    return tf.cond(
        tf.equal(dtype, "int16"),
        lambda: tf.cast(tf.io.decode_raw(data, tf.int16), tf.float32),
        lambda: tf.io.decode_raw(data, tf.float32),
    )


def _from_png(data: tf.Tensor) -> tf.Tensor:
    values = tf.reshape(tf.io.decode_png(data, 1, tf.uint16), [-1])
    return tf.cast(tf.cast(values, tf.int32) - PNG_OFFSET, tf.float32)

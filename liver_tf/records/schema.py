"""The record: one axial slice as a ``tf.train.Example``. Encoding stands beside decoding.

=================  =========================================================================
feature            content
=================  =========================================================================
schema             int64, version of this table
image              raw little-endian bytes, [rows, columns], HU clipped to the data set's window
image/dtype        ``int16``, or ``float32`` where the file's HU are not whole numbers
labels             raw uint8 bytes, [rows, columns], classes of the data set's label set
size               int64 [2]: rows, columns
spacing_mm         float32 [2]: row and column spacing; NaN where the file does not tell
case, patient      pseudonyms
slice              int64, index of the slice in its case, feet to head
example            int64, the number that seeds the augmentation of this slice
diagnosis          name of a lesion class, ``healthy``, or empty where unknown
box                int64 [3]: first row, first column, side of the (square) ROI in pixels of the
                   source slice; may reach over the slice's border. Only in ROI records.
source_size        int64 [2]: rows and columns of the source slice. Only in ROI records.
=================  =========================================================================
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Box:
    """A square region of a slice: first row, first column and side, in pixels.

    It may reach over the slice's border; what lies beyond is air and background.
    """

    row: int
    column: int
    side: int


@dataclass(frozen=True)
class SliceRecord:
    """One axial slice with its labels.

    Attributes:
      image: int16 or float32 [rows, columns], HU inside the window.
      labels: uint8 [rows, columns].
      spacing_mm: (row, column) spacing or None if unknown.
      slice_index: position in the case, counted from the feet.
      box, source_size: where an ROI record comes from, else None.
    """

    image: np.ndarray
    labels: np.ndarray
    spacing_mm: tuple[float, float] | None
    case: str
    patient: str
    slice_index: int
    diagnosis: str = ""
    box: Box | None = None
    source_size: tuple[int, int] | None = None


def example_number(case: str, slice_index: int) -> int:
    """A number in [0, 2**62) that names a slice for good; seeds its augmentation."""
    digest = hashlib.sha256(f"{case}/{slice_index}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 2


def encode(record: SliceRecord) -> bytes:
    """Serialise a record; raises ``ValueError`` on shapes or dtypes outside the schema."""
    if record.image.dtype not in (np.int16, np.float32) or record.image.ndim != 2:
        raise ValueError(
            f"image: expected int16 or float32 [rows, columns], got "
            f"{record.image.dtype} {record.image.shape}"
        )
    if record.labels.dtype != np.uint8 or record.labels.shape != record.image.shape:
        raise ValueError(
            f"labels: expected uint8 {record.image.shape}, got "
            f"{record.labels.dtype} {record.labels.shape}"
        )
    little_endian = record.image.dtype.newbyteorder("<")
    spacing = record.spacing_mm or (float("nan"), float("nan"))
    features = {
        "schema": _ints(SCHEMA_VERSION),
        "image": _bytes(np.ascontiguousarray(record.image, little_endian).tobytes()),
        "image/dtype": _bytes(record.image.dtype.name.encode()),
        "labels": _bytes(np.ascontiguousarray(record.labels).tobytes()),
        "size": _ints(*record.image.shape),
        "spacing_mm": tf.train.Feature(float_list=tf.train.FloatList(value=spacing)),
        "case": _bytes(record.case.encode()),
        "patient": _bytes(record.patient.encode()),
        "slice": _ints(record.slice_index),
        "example": _ints(example_number(record.case, record.slice_index)),
        "diagnosis": _bytes(record.diagnosis.encode()),
    }
    if record.box is not None:
        rows, columns = record.source_size
        features["box"] = _ints(record.box.row, record.box.column, record.box.side)
        features["source_size"] = _ints(rows, columns)
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return example.SerializeToString(deterministic=True)


def decode(serialised: bytes) -> SliceRecord:
    """The inverse of ``encode``; raises ``ValueError`` on another schema version."""
    feature = tf.train.Example.FromString(serialised).features.feature
    version = feature["schema"].int64_list.value[:]
    if list(version) != [SCHEMA_VERSION]:
        raise ValueError(f"record schema: expected version {SCHEMA_VERSION}, got {list(version)}")
    size = tuple(feature["size"].int64_list.value)
    dtype = np.dtype(feature["image/dtype"].bytes_list.value[0].decode()).newbyteorder("<")
    spacing = tuple(feature["spacing_mm"].float_list.value)
    box = tuple(feature["box"].int64_list.value) if "box" in feature else None
    return SliceRecord(
        image=np.frombuffer(feature["image"].bytes_list.value[0], dtype).reshape(size),
        labels=np.frombuffer(feature["labels"].bytes_list.value[0], np.uint8).reshape(size),
        spacing_mm=None if np.isnan(spacing).any() else spacing,
        case=feature["case"].bytes_list.value[0].decode(),
        patient=feature["patient"].bytes_list.value[0].decode(),
        slice_index=feature["slice"].int64_list.value[0],
        diagnosis=feature["diagnosis"].bytes_list.value[0].decode(),
        box=None if box is None else Box(*box),
        source_size=None if box is None else tuple(feature["source_size"].int64_list.value),
    )


def parse(serialised: tf.Tensor) -> dict[str, tf.Tensor]:
    """``decode`` as a graph: a scalar string to the tensors that training needs.

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
            "size": tf.io.FixedLenFeature([2], tf.int64),
            "example": tf.io.FixedLenFeature([], tf.int64),
        },
    )
    tf.debugging.assert_equal(
        parsed["schema"], tf.constant(SCHEMA_VERSION, tf.int64), "record schema version"
    )
    image = tf.cond(
        tf.equal(parsed["image/dtype"], "int16"),
        lambda: tf.cast(tf.io.decode_raw(parsed["image"], tf.int16), tf.float32),
        lambda: tf.io.decode_raw(parsed["image"], tf.float32),
    )
    return {
        "image": tf.reshape(image, parsed["size"]),
        "labels": tf.reshape(tf.io.decode_raw(parsed["labels"], tf.uint8), parsed["size"]),
        "example": parsed["example"],
    }


def _ints(*values: int) -> tf.train.Feature:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def _bytes(value: bytes) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

"""The record, an axial slice as a ``tf.train.Example``: its fields, encoding and decoding.

TensorFlow is not needed; :mod:`liver_tf.records.graph_decoder` decodes in a TensorFlow graph.

=================  =========================================================================
feature            content
=================  =========================================================================
schema             int64, version of this table
image              pixels [rows, columns], HU clipped to the data set's window
image/dtype        ``int16``, or ``float32`` if the HU of the slice are not whole numbers
labels             uint8 pixels [rows, columns], classes of the data set's label set
encoding           of image and labels: ``raw`` little-endian bytes, ``zlib`` (the same deflated),
                   or ``png`` (image: 16 bits, HU + 32768; labels: 8 bits)
size               int64 [2]: rows, columns
spacing_mm         float32 [2]: row and column spacing; NaN if unknown
case, patient      pseudonyms
slice              int64, index of the slice in its case, from feet to head
example            int64, seed for the augmentation of this slice
diagnosis          name of a lesion class, ``healthy``, or empty if unknown
box                int64 [3]: first row, first column, side of the (square) ROI in pixels of the
                   source slice; may extend beyond it. Only in ROI records.
source_size        int64 [2]: rows and columns of the source slice. Only in ROI records.
neighbour_of       int64, index of the annotated slice of the same scan next to this one, which
                   nobody annotated. Only in records of neighbours, also of those with made labels.
offset_mm          float32, distance from that slice, positive towards the head. As above.
tissues            uint8 pixels [rows, columns], codes of ``phantom.tissue_codes``. Only of
                   phantoms made with tissue maps.
=================  =========================================================================
"""

import hashlib
from dataclasses import dataclass

import numpy as np

from liver_tf.records.example_proto import Value, decode_example, encode_example
from liver_tf.records.pixel_encoding import RAW, decode_pixels, encode_pixels, encoding_of

SCHEMA_VERSION = 2


@dataclass(frozen=True)
class Box:
    """A square region of a slice: first row, first column and side, in pixels.

    It may extend beyond the slice; there the image is air and the labels background.
    """

    row: int
    column: int
    side: int


@dataclass(frozen=True)
class SliceRecord:
    """An axial slice with its labels.

    Attributes:
      image: int16 or float32 [rows, columns], HU inside the window.
      labels: uint8 [rows, columns].
      spacing_mm: (row, column) spacing, or None if unknown.
      case, patient: Pseudonyms.
      slice_index: Index in the case, from the feet.
      diagnosis: Name of a lesion class, ``healthy``, or empty.
      box: Of an ROI record in its source slice, else None.
      source_size: (rows, columns) of the source slice of an ROI record, else None.
      neighbour_of: For a slice that nobody annotated: index of the annotated slice next to it,
        else None.
      offset_mm: Of such a slice from the annotated one, positive towards the head.
      tissues: uint8 [rows, columns], tissue codes of a phantom, else None.
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
    tissues: np.ndarray | None = None
    neighbour_of: int | None = None
    offset_mm: float = 0.0


def example_number(case: str, slice_index: int) -> int:
    """A stable number in [0, 2**62) per slice; seeds its augmentation."""
    digest = hashlib.sha256(f"{case}/{slice_index}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 2


def encode(record: SliceRecord, encoding: str = RAW) -> list[bytes | np.ndarray]:
    """Serialise a record to pieces, to be written one after the other.

    Raises:
      ValueError: for shapes or dtypes outside the schema.
    """
    if record.image.dtype not in (np.int16, np.float32) or record.image.ndim != 2:
        raise ValueError(
            f"image: expected int16 or float32 [rows, columns], found "
            f"{record.image.dtype} {record.image.shape}"
        )
    if record.labels.dtype != np.uint8 or record.labels.shape != record.image.shape:
        raise ValueError(
            f"labels: expected uint8 {record.image.shape}, found "
            f"{record.labels.dtype} {record.labels.shape}"
        )
    encoding = encoding_of(record.image, encoding)
    spacing = record.spacing_mm or (float("nan"), float("nan"))
    features: dict[str, Value] = {
        "schema": [SCHEMA_VERSION],
        "image": encode_pixels(record.image, encoding),
        "image/dtype": record.image.dtype.name.encode(),
        "labels": encode_pixels(record.labels, encoding),
        "encoding": encoding.encode(),
        "size": [*record.image.shape],
        "spacing_mm": [float(step) for step in spacing],
        "case": record.case.encode(),
        "patient": record.patient.encode(),
        "slice": [record.slice_index],
        "example": [example_number(record.case, record.slice_index)],
        "diagnosis": record.diagnosis.encode(),
    }
    if record.box is not None and record.source_size is not None:
        features["box"] = [record.box.row, record.box.column, record.box.side]
        features["source_size"] = [*record.source_size]
    if record.neighbour_of is not None:
        features["neighbour_of"] = [record.neighbour_of]
        features["offset_mm"] = [float(record.offset_mm)]
    if record.tissues is not None:
        features["tissues"] = encode_pixels(record.tissues, encoding)
    return encode_example(features)


def decode(serialised: bytes) -> SliceRecord:
    """The inverse of ``encode``; raises ``ValueError`` for another schema version."""
    feature = decode_example(serialised)
    version = feature.get("schema", [])
    if version != [SCHEMA_VERSION]:
        raise ValueError(f"record schema: expected version {SCHEMA_VERSION}, found {version}")

    def text(name: str) -> str:
        return bytes(feature[name][0]).decode()

    (rows, columns), encoding = feature["size"], text("encoding")
    size = rows, columns
    row_mm, column_mm = feature["spacing_mm"]
    box, neighbour_of = feature.get("box"), feature.get("neighbour_of")
    return SliceRecord(
        image=decode_pixels(feature["image"][0], encoding, np.dtype(text("image/dtype")), size),
        labels=decode_pixels(feature["labels"][0], encoding, np.dtype(np.uint8), size),
        spacing_mm=None if np.isnan([row_mm, column_mm]).any() else (row_mm, column_mm),
        case=text("case"),
        patient=text("patient"),
        slice_index=feature["slice"][0],
        diagnosis=text("diagnosis"),
        box=None if box is None else Box(*box),
        source_size=None if box is None else tuple(feature["source_size"]),
        neighbour_of=None if neighbour_of is None else neighbour_of[0],
        offset_mm=feature.get("offset_mm", [0.0])[0],
        tissues=None
        if "tissues" not in feature
        else decode_pixels(feature["tissues"][0], encoding, np.dtype(np.uint8), size),
    )

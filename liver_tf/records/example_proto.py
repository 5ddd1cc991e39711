"""``tf.train.Example`` messages, written and read without TensorFlow and without copying pixels.

A conversion worker needs TensorFlow for nothing else, and importing it would cost seconds and
hundreds of megabytes. The wire format is that of Protocol Buffers (encoding guide) for
``tensorflow/core/example/example.proto`` and ``feature.proto``:

    Example { Features features = 1 }
    Features { map<string, Feature> feature = 1 }
    Feature { BytesList bytes_list = 1 | FloatList float_list = 2 | Int64List int64_list = 3 }

Features are sorted by name, so that equal records give equal bytes.
"""

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

#: A feature's value: bytes (or a C-contiguous array), integers, or floats.
Value = bytes | np.ndarray | Sequence[int] | Sequence[float]

_BYTES, _FLOATS, _INTS = 1, 2, 3
_LARGE = 4096
_PLAIN = (bytes, np.ndarray)


def encode_example(features: Mapping[str, Value]) -> list[bytes | np.ndarray]:
    """Serialise an Example to pieces, to be written one after the other.

    Args:
      features: By name. Bytes and C-contiguous arrays become a bytes list of one value, sequences
        of ``int`` an int64 list, sequences of ``float`` a float list.
    """
    pieces: list[bytes | np.ndarray] = []
    small = b""  # everything between two large values, as a single piece
    total = 0
    for name in sorted(features):
        kind, value = _packed(features[name])
        size = value.nbytes if isinstance(value, np.ndarray) else len(value)
        key = name.encode()
        head = b""
        # From the inside out: value, list, feature, entry of the map.
        for number in (1, kind, 2):
            head = _prefix(number, len(head) + size) + head
        head = _prefix(1, len(key)) + key + head
        head = _prefix(1, len(head) + size) + head
        total += len(head) + size
        if isinstance(value, bytes) and size < _LARGE:
            small += head + value
        else:
            pieces += (small + head, value)
            small = b""
    return [_prefix(1, total), *pieces, small]


def decode_example(data: bytes | memoryview) -> dict[str, list[Any]]:
    """The features of an Example; bytes values are ``memoryview`` on ``data``.

    Raises:
      ValueError: for anything else.
    """
    features = {}
    try:
        for outer in _fields(memoryview(data), {1}):
            for entry in _fields(outer[1], {1}):
                pair = dict(_fields(entry[1], {1, 2}))
                features[bytes(pair.get(1, b"")).decode()] = _values(pair.get(2, memoryview(b"")))
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise ValueError("not a tf.train.Example") from error
    return features


def _packed(value: Value) -> tuple[int, bytes | np.ndarray]:
    """Number of the list type, and its content."""
    if isinstance(value, _PLAIN):
        return _BYTES, value
    whole = [number for number in value if isinstance(number, int)]
    if len(whole) == len(value):
        return _INTS, b"".join(map(_varint, whole))
    return _FLOATS, struct.pack(f"<{len(value)}f", *value)


def _prefix(number: int, size: int) -> bytes:
    """Tag and length of a length-delimited field (wire type 2)."""
    if size < 0x80:  # in nearly all cases
        return bytes((number << 3 | 2, size))
    return bytes((number << 3 | 2,)) + _varint(size)


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1  # negative numbers in two's complement
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("not a tf.train.Example: an unterminated number")


def _fields(data: memoryview, known: set[int]) -> list[tuple[int, memoryview]]:
    """(field number, content) of a message of length-delimited fields."""
    fields, at = [], 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        size, at = _read_varint(data, at)
        if tag & 7 != 2 or tag >> 3 not in known or at + size > len(data):
            raise ValueError("not a tf.train.Example: an unknown field or a wrong length")
        fields.append((tag >> 3, data[at : at + size]))
        at += size
    return fields


def _values(feature: memoryview) -> list[Any]:
    values: list[Any] = []
    for kind, content in _fields(feature, {_BYTES, _FLOATS, _INTS}):
        for _, packed in _fields(content, {1}):
            if kind == _BYTES:
                values.append(packed)
            elif kind == _FLOATS:
                values += struct.unpack(f"<{len(packed) // 4}f", packed)
            else:
                at = 0
                while at < len(packed):
                    number, at = _read_varint(packed, at)
                    values.append(number - (1 << 64) if number >> 63 else number)
    return values

"""Slices held in memory, in as much of it as they take and no more."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

#: TensorFlow takes over an array without a copy only where it begins on such a border.
_BORDER = 64


class OtherCount(ValueError):
    """A data set of more or fewer elements than were expected."""


def held(dataset: tf.data.Dataset, count: int) -> dict[str, tf.Tensor]:
    """All elements of a data set of ``count`` dictionaries, each name stacked to [count, ...].

    ``tf.stack`` or ``tf.constant`` would need the room twice. Raises ``OtherCount`` where
    there are not ``count`` elements.
    """
    arrays = {
        name: _empty((count, *spec.shape), spec.dtype.as_numpy_dtype)
        for name, spec in dataset.element_spec.items()
    }
    found = 0
    for element in dataset.as_numpy_iterator():
        if found == count:
            raise OtherCount(f"expected {count} elements, got more")
        for name, array in arrays.items():
            array[found] = element[name]
        found += 1
    if found < count:
        raise OtherCount(f"expected {count} elements, got {found}")
    return {
        name: tf.experimental.dlpack.from_dlpack(array.__dlpack__())
        for name, array in arrays.items()
    }


def _empty(shape: tuple[int, ...], dtype: type) -> np.ndarray:
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    room = np.empty(size + _BORDER, np.uint8)
    start = -room.ctypes.data % _BORDER
    return room[start : start + size].view(dtype).reshape(shape)

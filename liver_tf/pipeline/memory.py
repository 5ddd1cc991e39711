"""Slices held in memory, in as much of it as they take and no more."""

from __future__ import annotations

import tensorflow as tf


class OtherCount(ValueError):
    """A data set of more or fewer elements than were expected."""


class Held:
    """All elements of a data set, to be taken by number inside of ``tf.data``.

    Lists of tensors: an element is put down as it was made, and handed out as it lies there.
    Stacked to one tensor they would need their room twice while it is made.
    """

    def __init__(self, dataset: tf.data.Dataset, count: int) -> None:
        """Read a data set of dictionaries, whose shapes are known.

        ``place`` of an element, an integer below ``count``, becomes its number. Raises
        ``OtherCount`` where there are not ``count`` elements.
        """
        self._specs = {name: spec for name, spec in dataset.element_spec.items() if name != "place"}
        with tf.device("CPU:0"):
            self._lists, found = self._read(dataset)
        if int(found) != count:
            raise OtherCount(f"expected {count} elements, got {int(found)}")

    @tf.function
    def _read(self, dataset: tf.data.Dataset) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        arrays = {
            name: tf.TensorArray(spec.dtype, 0, dynamic_size=True, element_shape=spec.shape)
            for name, spec in self._specs.items()
        }
        found = 0
        for element in dataset:
            place = tf.cast(element["place"], tf.int32)
            arrays = {name: array.write(place, element[name]) for name, array in arrays.items()}
            found += 1
        return {name: array.flow for name, array in arrays.items()}, found

    def take(self, place: tf.Tensor) -> dict[str, tf.Tensor]:
        """The element with this number, an integer scalar."""
        return {
            name: tf.ensure_shape(
                tf.raw_ops.TensorListGetItem(
                    input_handle=self._lists[name],
                    index=tf.cast(place, tf.int32),
                    element_shape=tf.constant(spec.shape.as_list(), tf.int32),
                    element_dtype=spec.dtype,
                ),
                spec.shape,
            )
            for name, spec in self._specs.items()
        }

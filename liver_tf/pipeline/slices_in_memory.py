"""Slices held in memory, without a second copy."""

import tensorflow as tf


class WrongCount(ValueError):
    """A data set has more or fewer elements than expected."""


class SlicesInMemory:
    """Random access to all elements of a data set inside ``tf.data``.

    They are stored as lists of tensors: stacking them would temporarily need twice the memory.
    """

    def __init__(self, dataset: tf.data.Dataset, count: int) -> None:
        """Read a data set of dictionaries whose shapes are known.

        Args:
          dataset: The integer ``place`` of an element, below ``count``, is its index.

        Raises:
          WrongCount: There are not ``count`` elements.
        """
        self._specs = {name: spec for name, spec in dataset.element_spec.items() if name != "place"}
        with tf.device("CPU:0"):
            self._lists, actual = self._read(dataset)
        if int(actual) != count:
            raise WrongCount(f"expected {count} elements, got {int(actual)}")

    @tf.function
    def _read(self, dataset: tf.data.Dataset) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        arrays = {
            name: tf.TensorArray(spec.dtype, 0, dynamic_size=True, element_shape=spec.shape)
            for name, spec in self._specs.items()
        }
        count = 0
        for element in dataset:
            place = tf.cast(element["place"], tf.int32)
            arrays = {name: array.write(place, element[name]) for name, array in arrays.items()}
            count += 1
        return {name: array.flow for name, array in arrays.items()}, count

    def take(self, place: tf.Tensor) -> dict[str, tf.Tensor]:
        """The element at ``place``, an integer scalar."""
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

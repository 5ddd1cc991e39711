"""Run graphs on batches of slices from NumPy, and check the HU that go in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

#: Slices per batch.
BATCH = 8


class SliceGraph:
    """A function of a batch of slices, traced as one graph for each dtype and called with arrays.

    It is not part of the module that holds it, so an export does not include it.

    Args:
      function: Takes slices [batch, rows, columns] and further tensors.
      specs: Of the further tensors.
      dtypes: Dtypes of the slices.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *specs: tf.TensorSpec,
        dtypes: tuple[tf.DType, ...] = (tf.int16, tf.float32),
    ) -> None:
        self._graphs = {
            dtype: tf.function(
                function, input_signature=[tf.TensorSpec([None, None, None], dtype), *specs]
            )
            for dtype in dtypes
        }

    def __call__(self, slices: np.ndarray, *arrays: Any) -> Any:
        """``slices``: [batch, rows, columns] of one of the dtypes."""
        slices = tf.constant(slices)
        return self._graphs[slices.dtype](slices, *(tf.constant(each) for each in arrays))


def batches(hu: np.ndarray) -> Iterator[np.ndarray]:
    """Batches of slices; int16 is kept, all else becomes float32."""
    for first in range(0, len(hu), BATCH):
        yield as_graph_dtype(hu[first : first + BATCH])


def as_graph_dtype(hu: np.ndarray) -> np.ndarray:
    """int16 is kept, all else becomes float32."""
    return hu if hu.dtype == np.int16 else hu.astype(np.float32, copy=False)


def check_hu(hu: np.ndarray) -> None:
    """Raise ``ValueError`` unless ``hu`` is [slices, rows, columns], not empty and finite."""
    if hu.ndim != 3:
        raise ValueError(f"hu: expected [slices, rows, columns], found {hu.ndim} axes")
    if not hu.size:
        raise ValueError(f"hu: expected at least one slice of at least one pixel, found {hu.shape}")
    if hu.dtype.kind not in "iuf":
        raise ValueError(f"hu: expected numbers, found {hu.dtype}")
    if hu.dtype.kind == "f" and not all(np.isfinite(each).all() for each in hu):
        raise ValueError("hu: expected finite Hounsfield units, found NaN or infinite values")

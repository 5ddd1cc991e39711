"""Run graphs on batches of slices from NumPy, and check the HU that go in."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from liver_tf.inference.trained_network import NOT_FINITE
from liver_tf.refusals import Refusal

#: Slices per batch.
BATCH = 8


class SliceGraph:
    """A function of a batch of slices, traced as one graph for each dtype and called with arrays.

    It takes slices [batch, rows, columns] of one of the dtypes, and further tensors by ``specs``.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *specs: tf.TensorSpec,
        dtypes: tuple[type, ...] = (np.int16, np.float32),
    ) -> None:
        self._graphs = {
            np.dtype(dtype): tf.function(
                function,
                input_signature=[tf.TensorSpec([None, None, None], dtype), *specs],
                autograph=False,
            )
            for dtype in dtypes
        }

    def __call__(self, slices: np.ndarray, *arrays: Any) -> Any:
        """Slices [batch, rows, columns] of any other dtype are converted to float32.

        Raises:
          Refusal: ``output-not-finite``.
        """
        if slices.dtype not in self._graphs:
            slices = slices.astype(np.float32)
        try:
            return self._graphs[slices.dtype](*(tf.constant(each) for each in (slices, *arrays)))
        except tf.errors.InvalidArgumentError as error:
            raise_not_finite(error)
            raise


def raise_not_finite(error: tf.errors.InvalidArgumentError) -> None:
    """Raise ``Refusal`` if a graph failed because the outputs of a network are not finite."""
    if NOT_FINITE in error.message:
        raise not_finite() from None


def not_finite() -> Refusal:
    """The refusal ``output-not-finite``."""
    return Refusal(
        "output-not-finite",
        None,
        expected="finite outputs of the networks",
        found="NaN or infinite ones",
        remedy="Use --precision=float32; if this remains, train the network again.",
    )


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

"""The HU window: the range of Hounsfield units that the networks receive."""

import functools
from typing import Any

import numpy as np

#: Window of the paper (arXiv 1907.13409), in HU.
DEFAULT_WINDOW = (-160, 240)


def apply_window(
    hu: np.ndarray, low: float = DEFAULT_WINDOW[0], high: float = DEFAULT_WINDOW[1]
) -> np.ndarray:
    """Clip HU to ``[low, high]``, keeping shape and dtype.

    Args:
      hu: int16 or float32, any shape.
      low: Lower limit in HU; a whole number if ``hu`` is int16.
      high: Upper limit, likewise.

    Raises:
      ValueError: ``low`` is not below ``high``, or the dtype cannot represent a limit.
    """
    lowest, highest = _limits(low, high, hu.dtype)
    clipped: np.ndarray = np.clip(hu, lowest, highest)
    return clipped


@functools.cache
def _limits(low: float, high: float, dtype: np.dtype[Any]) -> np.ndarray:
    """The limits of the window in the dtype of the image."""
    if not low < high:
        raise ValueError(f"window: expected low < high, found {low} and {high}")
    limits = np.array([low, high])
    if not np.array_equal(limits.astype(dtype).astype(np.float64), limits):
        raise ValueError(f"window: {dtype} cannot represent {low} and {high} HU exactly")
    return limits.astype(dtype)

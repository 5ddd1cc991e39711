"""The HU window: which Hounsfield units the networks get to see."""

from __future__ import annotations

import functools

import numpy as np

#: Window of the paper (arXiv 1907.13409), in HU.
DEFAULT_WINDOW = (-160, 240)


def apply_window(
    hu: np.ndarray, low: float = DEFAULT_WINDOW[0], high: float = DEFAULT_WINDOW[1]
) -> np.ndarray:
    """Clip HU to ``[low, high]``; shape and dtype stay, so inside the window nothing is lost.

    Args:
      hu: int16 or float32, any shape.
      low, high: borders in HU; whole numbers if ``hu`` is int16.

    Raises:
      ValueError: ``low`` is not below ``high``, or a border cannot be held by the dtype.
    """
    return np.clip(hu, *_borders(low, high, hu.dtype))


@functools.cache
def _borders(low: float, high: float, dtype: np.dtype) -> np.ndarray:
    """The window's borders in the images' own dtype."""
    if not low < high:
        raise ValueError(f"window: expected low < high, got {low} and {high}")
    borders = np.array([low, high])
    if not np.array_equal(borders.astype(dtype).astype(np.float64), borders):
        raise ValueError(f"window: {low} and {high} HU cannot be held exactly in {dtype}")
    return borders.astype(dtype)

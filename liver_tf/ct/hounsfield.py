"""Stored values to Hounsfield units: int16 if that is exact, else float32."""

import numpy as np

_INT16 = np.iinfo(np.int16)


class NotFinite(ValueError):
    """A stored or rescaled value is NaN or infinite."""


def rescale_to_hu(stored: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    """Compute ``stored * slope + intercept``, one slab of the first axis at a time.

    Args:
      stored: Any integer or real dtype, at least one axis.
      slope: Finite.
      intercept: Finite.

    Returns:
      int16 of the same shape if every HU value is whole and fits, else float32. An int16 array
      that needs no rescaling is returned without a copy.

    Raises:
      NotFinite: A value is NaN or infinite.
    """
    if stored.dtype == np.int16 and slope == 1 and intercept == 0:
        return stored
    hu = np.empty(stored.shape, np.int16)
    for index in range(len(stored)):
        slab = _exact_slab(stored[index], slope, intercept)
        if not _is_whole_int16(slab):
            break
        hu[index] = slab
    else:
        return hu
    real = np.empty(stored.shape, np.float32)
    for index in range(len(stored)):
        with np.errstate(over="ignore"):
            real[index] = _exact_slab(stored[index], slope, intercept)
        if not np.isfinite(real[index]).all():
            raise NotFinite
    return real


def _exact_slab(slab: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):
        values = slab.astype(np.float64) * slope + intercept
    if not np.isfinite(values).all():
        raise NotFinite
    return values


def _is_whole_int16(values: np.ndarray) -> bool:
    if values.size == 0:
        return True
    return (
        bool(values.min() >= _INT16.min)
        and bool(values.max() <= _INT16.max)
        and np.array_equal(np.rint(values), values)
    )

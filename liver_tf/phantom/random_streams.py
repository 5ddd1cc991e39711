"""A random stream for each patient and purpose, all derived from one seed."""

import zlib
from typing import Any

import numpy as np


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """A generator that depends only on the seed and the names, not on earlier draws."""
    words = (name if isinstance(name, int) else zlib.crc32(name.encode()) for name in names)
    return np.random.default_rng(np.random.SeedSequence([seed, *words]))


def clipped_normal(
    rng: np.random.Generator, mean: float, sd: float, low: float, high: float
) -> float:
    """A normally distributed number, clipped to ``low`` and ``high``."""
    return float(np.clip(rng.normal(mean, sd), low, high))


def clipped_normals(
    rng: np.random.Generator, *parameters: tuple[float, float, float, float]
) -> Any:  # a tuple as long as ``parameters``
    """One number for each (mean, SD, low, high), drawn in this order."""
    return tuple(clipped_normal(rng, *each) for each in parameters)

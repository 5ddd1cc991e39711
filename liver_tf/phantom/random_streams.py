"""One seed decides everything: a stream of random numbers for each patient and purpose."""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """A generator that depends on the seed and the names only.

    ``stream(0, "sheba", 17, "lesions")`` is the same whatever else was drawn before, in whichever
    process and however many patients there are.
    """
    words = [seed]
    words += (name if isinstance(name, int) else zlib.crc32(name.encode()) for name in names)
    return np.random.default_rng(np.random.SeedSequence(words))


def clipped_normal(
    rng: np.random.Generator, mean: float, sd: float, low: float, high: float
) -> float:
    """A normal number held between ``low`` and ``high``."""
    return float(np.clip(rng.normal(mean, sd), low, high))

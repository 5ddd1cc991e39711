"""HU statistics that can be added case by case: moments and histograms."""

import math
from dataclasses import dataclass

import numpy as np

#: Histogram bins: [-200, -190), ... [390, 400) HU, plus counts below and above.
LOW_HU, HIGH_HU, BIN_HU = -200, 400, 10
BINS = (HIGH_HU - LOW_HU) // BIN_HU


@dataclass(frozen=True)
class Moments:
    """Count, sum and sum of squares of HU values."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0

    @classmethod
    def of(cls, values: np.ndarray) -> "Moments":
        values = values.astype(np.float64)
        return cls(int(values.size), float(values.sum()), float(np.square(values).sum()))

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(
            self.count + other.count, self.total + other.total, self.squares + other.squares
        )

    @property
    def mean(self) -> float:
        """Mean in HU; NaN if empty."""
        return self.total / self.count if self.count else math.nan

    @property
    def sd(self) -> float:
        """Population standard deviation in HU; NaN if empty."""
        if not self.count:
            return math.nan
        return max(self.squares / self.count - self.mean**2, 0.0) ** 0.5


@dataclass(frozen=True)
class Histogram:
    """Counts of HU values.

    Attributes:
      counts: of ``BINS`` bins of 10 HU from -200 HU on; the lower edge belongs to the bin.
      below, above: values below -200 HU, and from 400 HU on.
    """

    counts: tuple[int, ...] = (0,) * BINS
    below: int = 0
    above: int = 0

    @classmethod
    def of(cls, values: np.ndarray) -> "Histogram":
        # Clipped before the division, so that 16-bit values cannot overflow.
        inside = np.clip(values.astype(np.float64), LOW_HU - BIN_HU, HIGH_HU)
        numbers = np.floor((inside - LOW_HU) / BIN_HU).astype(np.int64) + 1
        counts = np.bincount(numbers.reshape(-1), minlength=BINS + 2).tolist()
        return cls(tuple(counts[1:-1]), counts[0], counts[-1])

    def __add__(self, other: "Histogram") -> "Histogram":
        counts = tuple(a + b for a, b in zip(self.counts, other.counts, strict=True))
        return Histogram(counts, self.below + other.below, self.above + other.above)

    @property
    def total(self) -> int:
        return sum(self.counts) + self.below + self.above

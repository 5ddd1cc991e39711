"""Pixel counts and liver HU of each case, to be summed over the training cases of a fold."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from liver_tf.ct.hu_plausibility import hu_by_label
from liver_tf.labels import LIVER


@dataclass(frozen=True)
class CaseStatistics:
    """Sums over the slices of a case.

    Attributes:
      class_pixels: Number of pixels of each class of the label set.
      liver_sum, liver_sum_of_squares: Over the windowed HU of the pixels labelled liver (without
        lesions), of which there are ``class_pixels[1]``.
    """

    class_pixels: tuple[int, ...]
    liver_sum: float
    liver_sum_of_squares: float

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "CaseStatistics":
        """The inverse of ``to_json``."""
        return cls(tuple(value["class_pixels"]), value["liver_sum"], value["liver_sum_of_squares"])


def of_slice(image: np.ndarray, labels: np.ndarray, classes: int) -> CaseStatistics:
    """Statistics of a slice: image [rows, columns] in HU, labels uint8 [rows, columns]."""
    return of_values(hu_by_label(image, labels), labels.size, classes)


def of_values(values_by_label: dict[int, np.ndarray], size: int, classes: int) -> CaseStatistics:
    """Statistics of a slice of ``size`` pixels from the HU under every label above 0."""
    pixels = [0] * classes
    for label, values in values_by_label.items():
        pixels[label] = values.size
    pixels[0] = size - sum(pixels)
    liver = values_by_label.get(LIVER, np.empty(0)).astype(np.float64)
    return CaseStatistics(tuple(pixels), float(liver.sum()), float(np.square(liver).sum()))


def total(parts: Iterable[CaseStatistics]) -> CaseStatistics:
    """Sum of several cases or slices; raises ``ValueError`` if there are none."""
    parts = list(parts)
    if not parts:
        raise ValueError("expected the statistics of at least one case")
    return CaseStatistics(
        tuple(int(n) for n in np.sum([part.class_pixels for part in parts], axis=0)),
        float(sum(part.liver_sum for part in parts)),
        float(sum(part.liver_sum_of_squares for part in parts)),
    )


def liver_mean_sd(statistics: CaseStatistics) -> tuple[float, float]:
    """Mean and standard deviation of liver HU; raises ``ValueError`` without liver pixels."""
    count = statistics.class_pixels[LIVER]
    if count == 0:
        raise ValueError("no pixel is labelled liver: the data cannot be standardised")
    mean = statistics.liver_sum / count
    variance = max(statistics.liver_sum_of_squares / count - mean * mean, 0.0)
    sd = variance**0.5
    if sd < 1e-3:
        raise ValueError(f"liver HU do not vary (SD {sd:.3g} HU): the images cannot be CT")
    return mean, sd

"""Lesions by size: the bins in which measures are also given.

A lesion's size is the diameter in mm of the circle that has its area in the slice, which a single
stray pixel of an outline hardly moves. 10 and 20 mm are the borders at which radiology treats
liver lesions differently (below 10 mm too small to characterise; ACR LI-RADS v2018).
"""

from __future__ import annotations

import math

#: Name -> least diameter of the bin, mm; a bin reaches to the next one's least.
SIZE_BINS = {
    "under_10_mm": 0.0,
    "10_to_20_mm": 10.0,
    "20_to_50_mm": 20.0,
    "50_mm_and_more": 50.0,
}

#: The bin of a lesion whose pixel spacing is unknown, or whose outline holds no pixel.
UNKNOWN = "size_unknown"


def equivalent_diameter_mm(pixels: int, spacing_mm: tuple[float, float] | None) -> float | None:
    """Diameter of the circle of the same area; None where the spacing is unknown or no pixel is."""
    if spacing_mm is None or pixels == 0:
        return None
    return 2.0 * math.sqrt(pixels * spacing_mm[0] * spacing_mm[1] / math.pi)


def size_bin(diameter_mm: float | None) -> str:
    """Name of the bin that holds a diameter; one on a border belongs to the larger bin."""
    if diameter_mm is None:
        return UNKNOWN
    return [name for name, least in SIZE_BINS.items() if diameter_mm >= least][-1]

"""Size bins of lesions.

The size of a lesion is the diameter in mm of the circle of the same area in the slice, which is
robust to stray pixels of the outline. 10 and 20 mm are the thresholds of LI-RADS (ACR LI-RADS
v2018; lesions below 10 mm are too small to characterise).
"""

import math

#: Name of a bin -> smallest diameter in mm; a bin extends to the start of the next.
SIZE_BINS = {
    "under_10_mm": 0.0,
    "10_to_20_mm": 10.0,
    "20_to_50_mm": 20.0,
    "50_mm_and_more": 50.0,
}

#: Bin of lesions whose pixel spacing is unknown or whose outline has no pixel.
UNKNOWN = "size_unknown"


def equivalent_diameter_mm(pixels: int, spacing_mm: tuple[float, float] | None) -> float | None:
    """Diameter of the circle of the same area; None without spacing or without pixels."""
    if spacing_mm is None or pixels == 0:
        return None
    return 2.0 * math.sqrt(pixels * spacing_mm[0] * spacing_mm[1] / math.pi)


def size_bin(diameter_mm: float | None) -> str:
    """Name of the bin of a diameter; a diameter on a border belongs to the larger bin."""
    if diameter_mm is None:
        return UNKNOWN
    return [name for name, start in SIZE_BINS.items() if diameter_mm >= start][-1]

"""The region of interest: a square around the liver, with a margin in mm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from liver_tf.records.schema import Box

#: Pixel spacing taken where the file does not tell (a typical abdominal CT).
NOMINAL_SPACING_MM = 0.75


@dataclass(frozen=True)
class RoiRule:
    """How a liver mask becomes a box.

    Attributes:
      margin_mm: added on every side, so that lesions at the rim stay inside.
      least_side_mm: a small tip of the liver is not magnified beyond this.
      extent: ``slice``, a box per slice from that slice's liver; or ``volume``, one box for all
        slices of a scan.
    """

    margin_mm: float = 15.0
    least_side_mm: float = 120.0
    extent: str = "slice"

    def __post_init__(self) -> None:
        if not (np.isfinite(self.margin_mm) and self.margin_mm >= 0):
            raise ValueError(f"margin_mm: expected 0 or more, got {self.margin_mm}")
        if not (np.isfinite(self.least_side_mm) and self.least_side_mm > 0):
            raise ValueError(f"least_side_mm: expected more than 0, got {self.least_side_mm}")
        if self.extent not in ("slice", "volume"):
            raise ValueError(f"extent: expected slice or volume, got {self.extent!r}")


def square_box(
    liver: np.ndarray, spacing_mm: tuple[float, float] | None, rule: RoiRule
) -> Box | None:
    """The box around the liver of a slice.

    Args:
      liver: bool [rows, columns]. spacing_mm: (row, column), or None if unknown.

    Returns:
      A square in pixels, centred on the liver's bounding box; it may reach over the border. None
      where there is no liver: never a box of size zero.
    """
    rows = np.flatnonzero(liver.any(axis=1))
    if not rows.size:
        return None
    columns = np.flatnonzero(liver.any(axis=0))
    spacing = spacing_mm or (NOMINAL_SPACING_MM, NOMINAL_SPACING_MM)
    pixel_mm = float(np.mean(spacing))
    margin = 2 * rule.margin_mm / pixel_mm
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    side = int(np.ceil(max(height + margin, width + margin, rule.least_side_mm / pixel_mm)))
    return Box(
        row=int(np.floor(rows[0] + (height - side) / 2)),
        column=int(np.floor(columns[0] + (width - side) / 2)),
        side=side,
    )


def boxes_of_scan(
    livers: np.ndarray, spacing_mm: tuple[float, float] | None, rule: RoiRule
) -> list[Box | None]:
    """A box for every slice of a scan (bool [slices, rows, columns]); None where there is none."""
    if rule.extent == "slice":
        return [square_box(liver, spacing_mm, rule) for liver in livers]
    return [square_box(livers.any(axis=0), spacing_mm, rule)] * len(livers)


def crop(pixels: np.ndarray, box: Box, outside: float) -> np.ndarray:
    """Cut a box out of a slice [rows, columns]; what lies over the border is ``outside``."""
    cut = np.full((box.side, box.side), outside, pixels.dtype)
    rows, columns = pixels.shape
    top, left = max(box.row, 0), max(box.column, 0)
    bottom, right = min(box.row + box.side, rows), min(box.column + box.side, columns)
    if top < bottom and left < right:
        cut[top - box.row : bottom - box.row, left - box.column : right - box.column] = pixels[
            top:bottom, left:right
        ]
    return cut

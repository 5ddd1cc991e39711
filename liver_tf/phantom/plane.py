"""A sheet of points of one patient on which the anatomy is painted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Window = tuple[slice, slice]


@dataclass
class Plane:
    """Points at which an axial slice is computed, and the clean HU painted so far.

    Attributes:
      x, y, z: float32 [rows, columns], the points in mm of the patient's standard frame (after
        the patient's own warp, so that z is not quite constant).
      edge_mm: width over which edges are smoothed, about a pixel.
      hu: float32 [rows, columns], the image without noise.
    """

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    edge_mm: float
    hu: np.ndarray

    def __post_init__(self) -> None:
        self.z_mm = float(self.z.mean())
        self._x_mm = self.x.mean(axis=0)
        self._y_mm = self.y.mean(axis=1)

    #: How far the warp may carry a point away from the mean of its row or column, in mm.
    SLACK_MM = 12.0

    def window(self, low_mm, high_mm) -> Window | None:
        """Rows and columns that hold a box (x, y, z) in mm, or None where the plane misses it."""
        if self.z_mm < low_mm[2] - self.SLACK_MM or self.z_mm > high_mm[2] + self.SLACK_MM:
            return None
        c0 = int(np.searchsorted(self._x_mm, low_mm[0] - self.SLACK_MM))
        c1 = int(np.searchsorted(self._x_mm, high_mm[0] + self.SLACK_MM))
        r0 = int(np.searchsorted(self._y_mm, low_mm[1] - self.SLACK_MM))
        r1 = int(np.searchsorted(self._y_mm, high_mm[1] + self.SLACK_MM))
        if c0 >= c1 or r0 >= r1:
            return None
        return slice(r0, r1), slice(c0, c1)

    def around(self, centre_mm, reach_mm) -> Window | None:
        """Window of the box ``centre +- reach``."""
        centre, reach = np.asarray(centre_mm, float), np.asarray(reach_mm, float)
        return self.window(centre - reach, centre + reach)

    def points(self, window: Window) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Coordinates x, y, z inside a window."""
        return self.x[window], self.y[window], self.z[window]

    def cover(self, distance_mm: np.ndarray, edge_mm: float = 0.0) -> np.ndarray:
        """Share of each pixel that lies inside of a shape, 0 to 1."""
        width = np.float32(max(self.edge_mm, edge_mm))
        return np.clip(np.float32(0.5) - distance_mm / width, 0, 1)

    def paint(self, window: Window, cover: np.ndarray, hu: np.ndarray | float) -> None:
        """Replace what lies below by ``hu``, in proportion to the cover."""
        below = self.hu[window]
        below += cover * (hu - below)


WHOLE: Window = (slice(None), slice(None))

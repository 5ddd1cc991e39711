"""The plane of points on which a patient's anatomy is painted."""

from dataclasses import dataclass

import numpy as np

from liver_tf.phantom.shapes import capsule
from liver_tf.phantom.tissue_codes import Tissue

Window = tuple[slice, slice]
#: Start and end [rods, 3] and both radii [rods] of round rods, in mm.
Rods = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@dataclass
class Plane:
    """Points of an axial slice, and the noise-free HU painted so far.

    Attributes:
      x, y, z: float32 [rows, columns], points in mm in the standard frame. After the patient's
        warp z is not quite constant.
      edge_mm: width over which edges are smoothed, about one pixel.
      hu: float32 [rows, columns].
      tissues: uint8 [rows, columns] of ``Tissue`` codes, or None if they are not needed.
    """

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    edge_mm: float
    hu: np.ndarray
    tissues: np.ndarray | None = None

    def __post_init__(self) -> None:
        self.z_mm = float(self.z.mean())
        self._x_mm = self.x.mean(axis=0)
        self._y_mm = self.y.mean(axis=1)

    #: Maximum displacement by the warp from the mean of a row or column, in mm.
    SLACK_MM = 12.0

    def window(self, low_mm, high_mm) -> Window | None:
        """Rows and columns that contain a box (x, y, z) in mm; None if the plane misses it."""
        low, high = np.asarray(low_mm) - self.SLACK_MM, np.asarray(high_mm) + self.SLACK_MM
        if not low[2] <= self.z_mm <= high[2]:
            return None
        columns = slice(*np.searchsorted(self._x_mm, (low[0], high[0])).tolist())
        rows = slice(*np.searchsorted(self._y_mm, (low[1], high[1])).tolist())
        if columns.start >= columns.stop or rows.start >= rows.stop:
            return None
        return rows, columns

    def around(self, centre_mm, reach_mm) -> Window | None:
        """Window that contains the box ``centre +- reach``."""
        centre, reach = np.asarray(centre_mm, float), np.asarray(reach_mm, float)
        return self.window(centre - reach, centre + reach)

    def points(self, window: Window) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Coordinates x, y, z inside a window."""
        return self.x[window], self.y[window], self.z[window]

    def cover(self, distance_mm: np.ndarray, edge_mm: float = 0.0) -> np.ndarray:
        """Fraction of each pixel inside a shape, 0 to 1."""
        width = np.float32(max(self.edge_mm, edge_mm))
        return np.clip(np.float32(0.5) - distance_mm / width, 0, 1)

    def paint(
        self,
        window: Window,
        cover: np.ndarray,
        hu: np.ndarray | float,
        tissue: Tissue | np.ndarray | None = None,
    ) -> None:
        """Blend ``hu`` over the image in proportion to the cover; set the tissue where it prevails.

        ``tissue`` is a code, codes of all pixels, or None to leave those below.
        """
        below = self.hu[window]
        below += cover * (hu - below)
        if self.tissues is not None and tissue is not None:
            np.copyto(self.tissues[window], np.asarray(tissue, np.uint8), where=cover > 0.5)


WHOLE: Window = (slice(None), slice(None))


def paint_rods(plane: Plane, rods: Rods, where: np.ndarray, hu: float, tissue: Tissue) -> None:
    """Paint rods one after the other, weighted by ``where`` (0 to 1)."""
    start_mm, end_mm, r0_mm, r1_mm = rods
    low = np.minimum(start_mm, end_mm) - r0_mm[:, None]
    high = np.maximum(start_mm, end_mm) + r0_mm[:, None]
    near = (low[:, 2] < plane.z.max()) & (high[:, 2] > plane.z.min())
    for i in np.flatnonzero(near):
        window = plane.window(low[i], high[i])
        if window:
            rod = capsule(*plane.points(window), start_mm[i], end_mm[i], r0_mm[i], r1_mm[i])
            plane.paint(window, plane.cover(rod) * where[window], hu, tissue)

"""The body of the varied anatomy: a thin wall with ribs, flank muscles, fluid, chest and pelvis."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from liver_tf.phantom.body import RIB_PERIOD_MM, Body
from liver_tf.phantom.plane import WHOLE, Plane
from liver_tf.phantom.random_streams import clipped_normal, clipped_normals
from liver_tf.phantom.shapes import Array, capsule, ellipsoid, smoothstep, union
from liver_tf.phantom.tissue_codes import Tissue
from liver_tf.phantom.tissues import Tissues


@dataclass(frozen=True)
class VariedBody(Body):
    """A body frame with more variation; see ``Body``.

    Attributes:
      wall_mm: thickness of the muscle wall between the ribs.
      muscle_mm: thickness of the flank muscles outside it.
      right_dome_radii_mm, left_dome_radii_mm: of the diaphragm, along x and y.
      ascites_mm: width of the fluid inside the wall; 0 without ascites.
      effusion_mm: level above which pleural fluid does not rise, along y; None without fluid.
      rib_slope: slope of the ribs.
    """

    wall_mm: float
    muscle_mm: float
    right_dome_radii_mm: tuple[float, ...]
    left_dome_radii_mm: tuple[float, ...]
    ascites_mm: float
    effusion_mm: float | None
    rib_slope: float

    wall_gap_mm: ClassVar[float] = 0.3
    dome_gap_mm: ClassVar[float] = 0.9

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "VariedBody":
        base = vars(Body.draw(rng))
        right = clipped_normal(rng, 82, 12, 55, 112)
        return cls(
            **{
                **base,
                "fat_mm": float(np.clip(rng.lognormal(np.log(16), 0.75), 3, 70)),
                "fat_in_muscle": float(rng.beta(1.2, 2)),
                "squareness": float(rng.uniform(1.95, 2.7)),
                "right_dome_mm": right,
                "left_dome_mm": right - clipped_normal(rng, 14, 9, -8, 34),
            },
            wall_mm=clipped_normal(rng, 6, 1.5, 3.5, 10),
            muscle_mm=clipped_normal(rng, 8, 3.5, 1.5, 16),
            right_dome_radii_mm=clipped_normals(rng, (104, 8, 88, 124), (92, 7, 76, 108)),
            left_dome_radii_mm=clipped_normals(rng, (98, 8, 82, 118), (90, 7, 76, 106)),
            ascites_mm=float(rng.uniform(3, 22)) if rng.random() < 0.1 else 0.0,
            effusion_mm=float(rng.uniform(10, 70)) if rng.random() < 0.12 else None,
            rib_slope=clipped_normal(rng, 0.58, 0.1, 0.4, 0.85),
        )

    def outer_muscle(self, x: Array, y: Array, z: Array) -> Array:
        """Thickness of the muscles outside the wall: rectus, obliques, latissimus dorsi."""
        angle = np.arctan2(np.abs(x), -y)
        low = smoothstep((10 - z) / 60)
        rectus = 0.8 * np.exp(-((angle / 0.5) ** 4))
        oblique = 1.5 * low * np.exp(-(((angle - 1.45) / 0.55) ** 2))
        latissimus = 1.4 * (1 - 0.7 * low) * np.exp(-(((angle - 2.05) / 0.5) ** 2))
        return self.muscle_mm * (rectus + oblique + latissimus)

    def lining(self, x: Array, y: Array, z: Array) -> Any:
        return self.wall_mm + self.outer_muscle(x, y, z)

    def domes(self, x: Array, y: Array, z: Array) -> Array:
        widen = 1 + 0.004 * np.maximum(-z, 0)
        left_radii = (*self.left_dome_radii_mm, self.left_dome_mm)
        left = ellipsoid(x / widen, y / widen, np.maximum(z, 0), (58, -8, 0), left_radii)
        return union(self.right_dome(x, y, z), left, 14)

    def right_dome(self, x: Array, y: Array, z: Array) -> Array:
        """Distance to the space below the right half of the diaphragm."""
        widen = 1 + 0.004 * np.maximum(-z, 0)
        radii = (*self.right_dome_radii_mm, self.right_dome_mm)
        return ellipsoid(x / widen, y / widen, np.maximum(z, 0), (-60, -13, 0), radii)

    def _paint_wall_layers(self, plane: Plane, wall: Array, fat: Array, texture: Array) -> None:
        """Paint the fat between the flank muscles and the wall, and the seams of the rectus."""
        x, y, z = plane.x, plane.y, plane.z
        outer = self.outer_muscle(x, y, z)
        width = 0.4 + 2.2 * self.fat_in_muscle + 0.5 * texture
        sheet = np.where(outer > 3, np.abs(wall + outer) - width, 10)
        plane.paint(WHOLE, plane.cover(sheet), fat, Tissue.FAT)
        seam = np.minimum(np.abs(np.abs(x) - 62 + 0.4 * wall) - 1.5, np.abs(x) - 1.0)
        front = plane.cover(wall) * np.clip(-(y + 40) / 20, 0, 1)
        plane.paint(WHOLE, plane.cover(seam) * front, fat, Tissue.FAT)

    def _paint_inside(self, plane: Plane, tissues: Tissues, wall: Array, fat: Array) -> None:
        super()._paint_inside(plane, tissues, wall, fat)
        x, y, z = plane.x, plane.y, plane.z
        inner = wall + self.lining(x, y, z)
        below = self.domes(x, y, z)
        if self.effusion_mm is not None and plane.z_mm > -20:
            fluid = np.maximum(inner, np.maximum(self.effusion_mm - y, 1 - below))
            plane.paint(WHOLE, plane.cover(fluid), 12.0, Tissue.ASCITES)
        if self.ascites_mm:
            ring = np.maximum(below, np.maximum(inner, -inner - self.ascites_mm))
            plane.paint(WHOLE, plane.cover(ring), tissues.bile, Tissue.ASCITES)
        if plane.z_mm < -135:
            self._paint_pelvis(plane, wall)

    def _paint_pelvis(self, plane: Plane, wall: Array) -> None:
        """Paint the iliac wings, which grow downwards."""
        x, y = plane.x, plane.y
        size = np.clip((-135 - plane.z_mm) / 50, 0.1, 1)
        for side in (-1, 1):
            end = (side * (60 + 38 * size), 52 - 56 * size, 0)
            wing = capsule(x, y, 0 * x, (side * 46, 54, 0), end, 6, 4)
            wing = np.maximum(wing, wall + 3)
            plane.paint(WHOLE, plane.cover(wing), 380.0, Tissue.CORTICAL_BONE)
            plane.paint(WHOLE, plane.cover(wing + 2), 180.0, Tissue.MARROW)

    def _paint_ribs(self, plane: Plane, wall: Array) -> None:
        """Paint ribs that are thicker than the wall, their cartilage, and the sternum."""
        x, y, z = plane.x, plane.y, plane.z
        angle = np.arctan2(np.abs(x), y)
        height = z + np.float32(self.rib_slope) * angle * np.float32(112) + self.rib_phase_mm
        phase = np.mod(height, RIB_PERIOD_MM) - RIB_PERIOD_MM / 2
        centre = self.outer_muscle(x, y, z) + 0.5 * self.wall_mm
        ratio = np.hypot((wall + centre) / 4.2, phase / 6.0)
        last = np.interp(plane.z_mm, [-90, 0, 60, 110], [1.5, 2.0, 2.45, 2.6])
        end = np.interp(plane.z_mm, [-60, -20, 40, 110], [1.5, 2.4, 2.8, 2.9])
        rib = np.where((angle < last) & (angle > 0.35), (ratio - 1) * 4.2, 10)
        cartilage = np.where((angle >= last) & (angle < end), (ratio - 1) * 4.2, 10)
        plane.paint(WHOLE, plane.cover(cartilage), 95.0, Tissue.DISC)
        plane.paint(WHOLE, plane.cover(rib), 380.0, Tissue.CORTICAL_BONE)
        plane.paint(WHOLE, plane.cover(rib + 1.5), 180.0, Tissue.MARROW)
        if plane.z_mm > 40:
            bone = np.maximum(np.abs(wall + centre) - 5, np.abs(x) - 17 - 3 * self.texture(x, y, z))
            bone = np.where(y < 0, bone, 10)
            plane.paint(WHOLE, plane.cover(bone), 300.0, Tissue.CORTICAL_BONE)
            plane.paint(WHOLE, plane.cover(bone + 1.5), 150.0, Tissue.MARROW)

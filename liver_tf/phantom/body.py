"""The frame of the abdomen: outline, fat, muscle wall, bones, lungs and diaphragm.

The standard frame is a slim adult: x to the left, y to the back, z to the head, in mm, with the
origin at the level of the hepatic hilum. Patients differ in scale, warp, fat and the values here.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from liver_tf.phantom.plane import WHOLE, Plane
from liver_tf.phantom.random_streams import clipped_normal
from liver_tf.phantom.shapes import (
    Array,
    Ripple,
    capsule,
    ellipse,
    ellipsoid,
    intersection,
    union,
)
from liver_tf.phantom.tissue_codes import Tissue
from liver_tf.phantom.tissues import LUNG_HU, Tissues

WALL_MM = 11.5
VERTEBRA_PERIOD_MM = 33.0
RIB_PERIOD_MM = 27.0
SPINE_CENTRE_MM = (0.0, 22.0)


@dataclass(frozen=True)
class Body:
    """A patient's body frame.

    Attributes:
      fat_mm: thickness of the subcutaneous fat.
      muscle_mass: scale of the back muscles.
      fat_in_muscle: amount of intermuscular fat, 0 to 1.
      squareness: exponent of the outline; 2 is an ellipse.
      vertebra_phase_mm, rib_phase_mm: offset of the vertebrae and ribs along z.
      right_dome_mm, left_dome_mm: height of the domes of the diaphragm.
      texture: ripple of fat and muscle.
      strands: ripple of strands in the visceral fat.
    """

    fat_mm: float
    muscle_mass: float
    fat_in_muscle: float
    squareness: float
    vertebra_phase_mm: float
    rib_phase_mm: float
    right_dome_mm: float
    left_dome_mm: float
    trabecular_hu: float
    texture: Ripple
    strands: Ripple

    #: Fat between organs and the wall, and between the liver and the diaphragm, in mm.
    wall_gap_mm: ClassVar[float] = 2.0
    dome_gap_mm: ClassVar[float] = 2.5

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Body":
        right = clipped_normal(rng, 78, 7, 62, 95)
        return cls(
            fat_mm=float(np.clip(rng.lognormal(np.log(18), 0.55), 5, 42)),
            muscle_mass=clipped_normal(rng, 1.0, 0.1, 0.75, 1.2),
            fat_in_muscle=float(rng.beta(1.5, 3)),
            squareness=float(rng.uniform(2.2, 2.6)),
            vertebra_phase_mm=float(rng.uniform(0, VERTEBRA_PERIOD_MM)),
            rib_phase_mm=float(rng.uniform(0, RIB_PERIOD_MM)),
            right_dome_mm=right,
            left_dome_mm=right - clipped_normal(rng, 18, 5, 6, 30),
            trabecular_hu=clipped_normal(rng, 205, 45, 100, 310),
            texture=Ripple.draw(rng, 12, 12, 36),
            strands=Ripple.draw(rng, 6, 5, 12),
        )

    def outline(self, x: Array, y: Array, z: Array) -> Array:
        """Distance to the outer surface of the muscle wall."""
        p = np.float32(self.squareness)
        narrowing = 1 - 0.05 * np.clip(z / 100, -1, 1.2) ** 2
        across = np.abs(x) / (140 * narrowing)
        deepening = 1 + 0.05 * np.clip(z / 60, -1, 1)
        along = np.abs(y) / deepening / np.where(y > 0, np.float32(94), np.float32(99) * narrowing)
        ratio = (across**p + along**p) ** (1 / p)
        rho = np.hypot(x, y)
        distance = rho * (1 - 1 / np.maximum(ratio, np.float32(1e-3)))
        # The furrow along the spine.
        return distance + 9 * np.exp(-((x / 16) ** 2)) * (y > 0) * np.clip(y / 60, 0, 1)

    def lining(self, x: Array, y: Array, z: Array) -> Any:
        """Thickness of the muscle wall in mm: one number, or one of each point."""
        return WALL_MM

    def fat_thickness(self, x: Array, y: Array) -> Array:
        """Thickness of the subcutaneous fat in mm, greatest at flanks and back."""
        rho = np.maximum(np.hypot(x, y), 1)
        back, side = np.clip(y / rho, 0, 1), (x / rho) ** 2
        return self.fat_mm * (0.8 + 0.45 * back + 0.2 * side)

    def domes(self, x: Array, y: Array, z: Array) -> Array:
        """Distance to the space below the diaphragm."""
        up = np.maximum(z, 0)
        widen = 1 + 0.004 * np.maximum(-z, 0)
        flat_x, flat_y = x / widen, y / widen
        right = ellipsoid(flat_x, flat_y, up, (-62, -15, 0), (102, 88, self.right_dome_mm))
        left = ellipsoid(flat_x, flat_y, up, (60, -8, 0), (98, 88, self.left_dome_mm))
        return union(right, left, 14)

    def spine_keep_out(self, x: Array, y: Array) -> Array:
        """Distance to the region of spine, crura and great vessels, which excludes organs."""
        return union(ellipse(x, y, (0, 26), (29, 27)), ellipse(x, y, (12, -6), (14, 13)), 8)

    def paint(self, plane: Plane, tissues: Tissues) -> Array:
        """Paint the frame; return the distance to the outer muscle wall, [rows, columns] in mm."""
        x, y, z = plane.x, plane.y, plane.z
        wall = self.outline(x, y, z)
        skin = wall - self.fat_thickness(x, y)
        texture = self.texture(x, y, z)
        fat = tissues.fat + 5 * texture
        plane.paint(WHOLE, plane.cover(skin), 15.0, Tissue.SKIN)
        plane.paint(WHOLE, plane.cover(skin + 2), fat, Tissue.FAT)
        marbled = tissues.muscle - (12 + 40 * self.fat_in_muscle) * np.clip(texture - 0.7, 0, 1.5)
        plane.paint(WHOLE, plane.cover(wall), marbled, Tissue.MUSCLE)
        self._paint_wall_layers(plane, wall, fat, texture)
        self._paint_inside(plane, tissues, wall, fat)
        self._paint_back_muscles(plane, tissues, marbled)
        self._paint_ribs(plane, wall)
        self._paint_spine(plane, tissues)
        return wall

    def _paint_wall_layers(self, plane: Plane, wall: Array, fat: Array, texture: Array) -> None:
        """Paint intermuscular fat: sheets at the flanks, seams beside the rectus muscles."""
        x, y = plane.x, plane.y
        share = 0.35 + 0.6 * self.fat_in_muscle
        flank = np.clip((np.abs(x) - 60) / 25, 0, 1) * np.clip(0.6 - texture, 0, 1)
        sheet = np.abs(wall + WALL_MM * 0.36 - 1.5 * texture) - 0.5
        plane.paint(WHOLE, plane.cover(sheet) * flank * share, fat, Tissue.FAT)
        front = plane.cover(wall) * np.clip(-(y + 40) / 20, 0, 1)
        seam = np.minimum(np.abs(np.abs(x) - 62 + 0.4 * wall) - 1.5, np.abs(x) - 1.0)
        plane.paint(WHOLE, plane.cover(seam) * front * share, fat, Tissue.FAT)

    def _paint_inside(self, plane: Plane, tissues: Tissues, wall: Array, fat: Array) -> None:
        x, y, z = plane.x, plane.y, plane.z
        inside = plane.cover(wall + self.lining(x, y, z))
        strands = np.clip(self.strands(x, y, z) - 1.1, 0, 1)
        visceral = fat + 60 * strands
        below = self.domes(x, y, z)
        if plane.z_mm > -20:
            plane.paint(WHOLE, inside, LUNG_HU + 25 * strands, Tissue.LUNG)
            front = 2 + 28 * float(np.clip((plane.z_mm - 25) / 45, 0, 1))
            for centre, radii in (((4, 4), (36, 30)), ((14, -62), (front, front))):
                column = plane.cover(ellipse(x, y, centre, radii))
                plane.paint(WHOLE, column * inside, fat, Tissue.FAT)
            diaphragm = inside * plane.cover(below - 0.7)
            plane.paint(WHOLE, diaphragm, tissues.muscle, Tissue.MUSCLE)
            plane.paint(WHOLE, inside * plane.cover(below + 0.7), visceral, Tissue.FAT)
        else:
            plane.paint(WHOLE, inside, visceral, Tissue.FAT)

    def _paint_back_muscles(self, plane: Plane, tissues: Tissues, marbled: Array) -> None:
        m = self.muscle_mass
        psoas = np.clip((10 - plane.z_mm) / 60, 0, 1)
        for side in (-1, 1):
            back = (side * 34, 62), (32 * m, 20 * m)
            _paint_column(plane, (side * 36, 60), (42, 34), *back, marbled)
            if psoas > 0.1:
                radii = (15 * m * psoas, 21 * m * psoas)
                _paint_column(plane, (side * 33, 30), (22, 26), (side * 33, 32), radii, marbled)
            _paint_column(plane, (side * 12, 0), (12, 22), (side * 15, 2), (5, 15), tissues.muscle)

    def _paint_ribs(self, plane: Plane, wall: Array) -> None:
        x, y, z = plane.x, plane.y, plane.z
        angle = np.arctan2(np.abs(x), y)
        arc = angle * np.float32(112)
        height = z + np.float32(0.42) * arc + self.rib_phase_mm
        phase = np.mod(height, RIB_PERIOD_MM) - RIB_PERIOD_MM / 2
        across = (wall + WALL_MM * 0.52) / 3.7
        along = phase / 5.6
        ratio = np.sqrt(across * across + along * along)
        last = np.interp(plane.z_mm, [-90, 0, 60, 110], [1.55, 2.0, 2.45, 2.7])
        present = (angle < last) & (angle > 0.35)
        distance = np.where(present, (ratio - 1) * 3.7, 10)
        plane.paint(WHOLE, plane.cover(distance), 380.0, Tissue.CORTICAL_BONE)
        plane.paint(WHOLE, plane.cover(distance + 1.6), 180.0, Tissue.MARROW)

    def _paint_spine(self, plane: Plane, tissues: Tissues) -> None:
        window = plane.around((0, 45, plane.z_mm), (48, 48, 1))
        if window is None:
            return
        x, y, z = plane.points(window)
        along = np.mod(plane.z_mm + self.vertebra_phase_mm, VERTEBRA_PERIOD_MM)
        disc = along < 7
        vertebra = ellipse(x, y, SPINE_CENTRE_MM, (22, 17))
        arch = ellipse(x, y, (0, 45), (15.5, 13))
        if 10 < along < 22:
            for side in (-1, 1):
                process = capsule(x, y, 0 * z, (side * 12, 44, 0), (side * 36, 50, 0), 5, 3.5)
                arch = union(arch, process, 4)
        if along > 14 or disc:
            arch = union(arch, capsule(x, y, 0 * z, (0, 56, 0), (0, 80, 0), 4, 3.5), 4)
        trabecular = self.trabecular_hu + 22 * self.texture(x, y, z)
        plane.paint(window, plane.cover(arch), 390.0, Tissue.CORTICAL_BONE)
        plane.paint(window, plane.cover(arch + 2.2), 260.0, Tissue.MARROW)
        shell = Tissue.DISC if disc else Tissue.CORTICAL_BONE
        plane.paint(window, plane.cover(vertebra), 85.0 if disc else 340.0, shell)
        if not disc:
            plane.paint(window, plane.cover(vertebra + 1.6, 2.0), trabecular, Tissue.MARROW)
        canal = intersection(ellipse(x, y, (0, 46), (10, 8.5)), -vertebra, 1)
        plane.paint(window, plane.cover(canal), 30.0, Tissue.DISC)


def _paint_column(
    plane: Plane, middle_mm, reach_mm, centre_mm, radii_mm, hu: Array | float
) -> None:
    """Paint a muscle, an elliptic column along z inside the window ``middle +- reach``."""
    window = plane.around((*middle_mm, plane.z_mm), (*reach_mm, 1))
    if window:
        x, y, _ = plane.points(window)
        column = plane.cover(ellipse(x, y, centre_mm, radii_mm))
        hu = hu[window] if isinstance(hu, np.ndarray) else hu
        plane.paint(window, column, hu, Tissue.MUSCLE)

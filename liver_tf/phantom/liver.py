"""The liver: shape, falciform fissure, gall bladder and vessels."""

from dataclasses import dataclass

import numpy as np

from liver_tf.phantom.body import Body
from liver_tf.phantom.plane import WHOLE, Plane, Rods, paint_rods
from liver_tf.phantom.random_streams import clipped_normal, clipped_normals
from liver_tf.phantom.shapes import (
    Array,
    Ripple,
    capsule,
    ellipsoid,
    intersection,
    smoothstep,
    union,
)
from liver_tf.phantom.tissue_codes import Tissue
from liver_tf.phantom.tissues import Tissues

HILUM_MM = np.array([-20.0, -24.0, 0.0])
TRUNK_MM = (12.0, -26.0, -34.0)
CAVA_MM = np.array([-20.0, -20.0, 0.0])
CAVA_RADIUS_MM = 13.0
#: Radius from which a vessel counts as large.
LARGE_VESSEL_MM = 2.0


def _draw_vessels(rng: np.random.Generator) -> Rods:
    """Draw three hepatic veins from the vena cava and the two branches of the portal vein."""
    rods: list[tuple] = []
    for direction in ((-1.0, 0.15, -0.25), (-0.6, -0.75, -0.3), (0.45, -0.85, -0.25)):
        start = CAVA_MM + np.array([0, -2, rng.uniform(42, 54)])
        _grow(rng, rods, start, np.array(direction), rng.uniform(4.4, 5.8), 30.0, 5)
    right, left = np.add(HILUM_MM, (-26, 8, 4)), np.add(HILUM_MM, (16, -22, 18))
    rods.append((TRUNK_MM, HILUM_MM, 6.2, 6.0))
    rods += [(HILUM_MM, right, 5.8, 4.8), (HILUM_MM, left, 4.8, 4.0)]
    for direction in ((-0.8, 0.2, 0.55), (-0.75, 0.35, -0.6), (-0.5, -0.8, -0.1)):
        _grow(rng, rods, right, np.array(direction), rng.uniform(3.4, 4.6), 26.0, 5)
    for direction in ((0.8, -0.4, 0.2), (-0.3, -0.9, 0.1)):
        _grow(rng, rods, left, np.array(direction), rng.uniform(2.6, 3.4), 20.0, 4)
    start_mm, end_mm, r0_mm, r1_mm = (
        np.array(each, np.float32) for each in zip(*rods, strict=True)
    )
    return start_mm, end_mm, r0_mm, r1_mm


def _grow(
    rng: np.random.Generator,
    rods: list,
    start: np.ndarray,
    direction: np.ndarray,
    radius_mm: float,
    length_mm: float,
    depth: int,
) -> None:
    """Add a curved branch and, recursively, its two children."""
    direction = direction / np.linalg.norm(direction)
    for _ in range(2):
        direction = direction + rng.normal(0, 0.16, 3)
        direction /= np.linalg.norm(direction)
        end = start + direction * length_mm * rng.uniform(0.4, 0.6)
        thinner = radius_mm * 0.95
        rods.append((start, end, radius_mm, thinner))
        start, radius_mm = end, thinner
    if depth == 0 or radius_mm < 0.8:
        return
    aside = np.cross(direction, rng.normal(size=3))
    aside /= np.linalg.norm(aside)
    bend = rng.uniform(0.35, 0.8)
    share = rng.uniform(0.7, 0.92)
    for turn, part in ((bend, share), (-bend, 1.6 - share)):
        child = direction + turn * aside
        _grow(rng, rods, start, child, radius_mm * part, length_mm * 0.82, depth - 1)


@dataclass(frozen=True)
class Liver:
    """A patient's liver in the standard frame.

    Attributes:
      right_radii_mm: of the right lobe's ellipsoid.
      left_reach_mm: how far the left lobe crosses the midline.
      left_height_mm: half the height of the left lobe.
      visceral_offset_mm, visceral_slope: position and tilt of the visceral surface.
      cleft_radius_mm: radius of the fat in the falciform fissure; 0 if closed.
      focal_fat_hu: HU decrease beside the fissure; 0 without focal fat.
      bile_centre_mm, bile_radii_mm: the gall bladder; centre None after cholecystectomy.
      bumps, mottle: ripples of the surface and of the parenchyma.
    """

    right_radii_mm: tuple[float, ...]
    left_reach_mm: float
    left_height_mm: float
    visceral_offset_mm: float
    visceral_slope: float
    cleft_radius_mm: float
    focal_fat_hu: float
    bile_centre_mm: tuple[float, ...] | None
    bile_radii_mm: tuple[float, ...]
    bumps: Ripple
    mottle: Ripple
    vessels: Rods

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Liver":
        return cls(
            right_radii_mm=clipped_normals(
                rng, (78, 5, 66, 90), (82, 5, 70, 94), (88, 10, 66, 112)
            ),
            left_reach_mm=clipped_normal(rng, 42, 18, 8, 85),
            left_height_mm=clipped_normal(rng, 38, 7, 24, 54),
            visceral_offset_mm=clipped_normal(rng, -22, 8, -38, -6),
            visceral_slope=clipped_normal(rng, 0.62, 0.1, 0.42, 0.85),
            cleft_radius_mm=float(rng.choice([0.0, rng.uniform(3, 7)], p=[0.25, 0.75])),
            focal_fat_hu=float(rng.choice([0.0, rng.uniform(12, 40)], p=[0.6, 0.4])),
            bile_centre_mm=None
            if rng.random() < 0.12
            else clipped_normals(rng, (-40, 6, -54, -28), (-40, 7, -56, -24), (-30, 8, -46, -14)),
            bile_radii_mm=clipped_normals(rng, (13, 3, 7, 20), (17, 3, 10, 25), (26, 5, 14, 38)),
            bumps=Ripple.draw(rng, 8, 45, 110),
            mottle=Ripple.draw(rng, 10, 12, 50),
            vessels=_draw_vessels(rng),
        )

    def bile_distance(self, x: Array, y: Array, z: Array) -> Array | None:
        """Distance to the gall bladder, which leans forward and down; None without one."""
        if self.bile_centre_mm is None:
            return None
        cx, cy, cz = self.bile_centre_mm
        lean = np.float32(0.35) * (z - np.float32(cz))
        return ellipsoid(x, y + lean, z, (cx, cy, cz), self.bile_radii_mm)

    def distance(
        self, x: Array, y: Array, z: Array, wall: Array, domes: Array, body: Body
    ) -> Array:
        """Distance to the liver's surface, excluding gall bladder and fissure.

        ``wall`` and ``domes`` are the distances to the outer muscle wall and to the diaphragm.
        """
        return self._inside_body(self._lobes(x, y, z), x, y, z, wall, domes, body)

    def _lobes(self, x: Array, y: Array, z: Array) -> Array:
        """Distance to the lobes, as if no other organ limited them."""
        right = ellipsoid(x, y, z, (-60, -4, -4), self.right_radii_mm)
        face = x - self.visceral_offset_mm - self.visceral_slope * z
        face = face + 0.0028 * (y + 20) ** 2 * (z < 40)
        right = intersection(right, 0.85 * face, 16)
        reach = self.left_reach_mm
        left_radii = (0.5 * (reach + 75), 36, self.left_height_mm)
        tilt = 0.18 * (x - 10)
        left = ellipsoid(x, y + tilt, z, (0.5 * (reach - 75), -46, 36), left_radii)
        caudate = ellipsoid(x, y, z, (-8, -26, 24), (15, 14, 30))
        whole = union(union(right, left, 18), caudate, 8)
        return whole + 2.6 * self.bumps(x, y, z)

    def _inside_body(
        self, whole: Array, x: Array, y: Array, z: Array, wall: Array, domes: Array, body: Body
    ) -> Array:
        """Limit the lobes by wall, diaphragm, spine, kidney, fissure and gall bladder."""
        whole = intersection(whole, wall + (body.lining(x, y, z) + body.wall_gap_mm), 5)
        whole = intersection(whole, domes + body.dome_gap_mm, 4)
        whole = intersection(whole, 1.5 - body.spine_keep_out(x, y), 5)
        # The renal bed opens towards the spine, so that its fat is not an island in the liver.
        behind = ellipsoid(x - 0.35 * (z + 62), y, z, (-44, 32, -62), (46, 44, 56))
        whole = intersection(whole, 3 - behind, 6)
        if self.cleft_radius_mm:
            cleft = capsule(
                x, y, z, (4, -92, 4), (-2, -44, -16), self.cleft_radius_mm, self.cleft_radius_mm
            )
            whole = intersection(whole, -cleft, 3)
        bile = self.bile_distance(x, y, z)
        return whole if bile is None else intersection(whole, 1.0 - bile, 3)

    def vessel_distance(self, point_mm: np.ndarray) -> float:
        """Distance of a point to the vena cava and the liver's large vessels in mm."""
        start, end, r0, r1 = (part[self.vessels[3] >= LARGE_VESSEL_MM] for part in self.vessels)
        axis = end - start
        along = ((point_mm - start) * axis).sum(1) / np.maximum((axis * axis).sum(1), 1e-6)
        along = np.clip(along, 0, 1)
        gaps = np.linalg.norm(start + along[:, None] * axis - point_mm, axis=1)
        cava = np.hypot(*(point_mm - CAVA_MM)[:2]) - CAVA_RADIUS_MM
        return float(min(cava, (gaps - r0 - along * (r1 - r0)).min()))

    def paint(self, plane: Plane, tissues: Tissues, distance: Array, vessels: Array) -> Array:
        """Paint parenchyma and vessels; return the liver's cover [rows, columns], 0 to 1.

        ``vessels`` is the share of the vessels to be painted at each point, less near lesions.
        """
        x, y, z = plane.x, plane.y, plane.z
        hu = tissues.liver + 1.6 * self.mottle(x, y, z)
        if self.focal_fat_hu:
            beside = ellipsoid(x, y, z, (-9, -72, 8), (11, 13, 17))
            hu = hu - self.focal_fat_hu * smoothstep(0.5 - beside / 7)
        cover = plane.cover(distance)
        plane.paint(WHOLE, cover, hu, Tissue.LIVER)
        bile = self.bile_distance(x, y, z)
        if bile is not None:
            wall = plane.cover(bile - 1.2) * (1 - cover)
            plane.paint(WHOLE, wall, tissues.gut_wall, Tissue.GUT_WALL)
            plane.paint(WHOLE, plane.cover(bile), tissues.bile, Tissue.BILE)
        self._paint_vessels(plane, tissues, vessels, np.clip(-distance / 3, 0, 1) * vessels)
        return cover

    def _paint_vessels(
        self, plane: Plane, tissues: Tissues, everywhere: Array, inside: Array
    ) -> None:
        start, end, r0, r1 = self.vessels
        # As in ``_draw_vessels``: hepatic veins, then the portal vein from its trunk on.
        trunk = int(np.flatnonzero((start == np.array(TRUNK_MM, np.float32)).all(1))[0])
        for part, where, tissue in (
            (slice(0, 1), everywhere, Tissue.HEPATIC_VEIN),
            (slice(1, trunk), inside, Tissue.HEPATIC_VEIN),
            (slice(trunk, None), inside, Tissue.PORTAL_BRANCH),
        ):
            rods = start[part], end[part], r0[part], r1[part]
            paint_rods(plane, rods, where, tissues.blood, tissue)

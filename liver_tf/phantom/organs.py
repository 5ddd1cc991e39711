"""The organs around the liver: great vessels, heart, kidneys, spleen, stomach, gut, pancreas."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from liver_tf.phantom.liver import CAVA_MM
from liver_tf.phantom.plane import Plane, Rods, paint_rods
from liver_tf.phantom.random_streams import clipped_normal, clipped_normals
from liver_tf.phantom.shapes import Array, Ripple, capsule, ellipse, ellipsoid, intersection, tube
from liver_tf.phantom.tissue_codes import Tissue
from liver_tf.phantom.tissues import Tissues

_STOMACH_MM = ((58, 2, 52), (62, -22, 18), (44, -48, -14), (6, -54, -24))
_PANCREAS_MM = ((-16, -28, -30), (8, -36, -14), (34, -26, -2), (70, 6, 8))


@dataclass(frozen=True)
class Loop:
    """A bowel loop: an ellipsoid with a wall and a filling (``fluid``, ``gas``, ``faeces``)."""

    centre_mm: tuple[float, ...]
    radii_mm: tuple[float, ...]
    filling: str


@dataclass(frozen=True)
class Organs:
    """A patient's other organs, lengths in mm."""

    kidney_centres_mm: tuple[tuple[float, float, float], tuple[float, float, float]]
    kidney_radii_mm: tuple[float, ...]
    spleen_centre_mm: tuple[float, ...]
    spleen_radii_mm: tuple[float, ...]
    stomach_scale: float
    stomach_air_mm: float
    stomach_filling_hu: float
    aorta_radius_mm: float
    cava_radii_mm: tuple[float, ...]
    heart_shift_mm: float
    loops: tuple[Loop, ...]
    twigs: Rods
    lung_twigs: Rods
    food: Ripple
    pyramids: Ripple

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Organs":
        height = clipped_normal(rng, 0, 8, -16, 16)
        return cls(
            kidney_centres_mm=(
                (clipped_normal(rng, -57, 3, -64, -50), 20.0, -62 + height),
                (clipped_normal(rng, 57, 3, 50, 64), 18.0, -46 + height),
            ),
            kidney_radii_mm=clipped_normals(rng, (27, 2, 22, 32), (29, 2, 24, 34), (52, 4, 42, 62)),
            spleen_centre_mm=clipped_normals(
                rng, (98, 4, 88, 106), (22, 6, 8, 36), (14, 8, -6, 30)
            ),
            spleen_radii_mm=clipped_normals(rng, (30, 5, 20, 44), (48, 6, 34, 62), (48, 7, 32, 66)),
            stomach_scale=clipped_normal(rng, 1.15, 0.2, 0.7, 1.5),
            stomach_air_mm=clipped_normal(rng, -38, 14, -70, 5),
            stomach_filling_hu=float(rng.choice([8.0, 35.0, 180.0], p=[0.5, 0.35, 0.15])),
            aorta_radius_mm=clipped_normal(rng, 10.5, 1.5, 8, 15),
            cava_radii_mm=clipped_normals(rng, (13, 2, 9, 17), (10, 2, 5, 14)),
            heart_shift_mm=clipped_normal(rng, 0, 6, -10, 12),
            loops=_draw_loops(rng),
            twigs=_draw_twigs(rng, 110, (-60, -70, -110), (80, -5, 10), 1.0, 3.2),
            lung_twigs=_draw_twigs(rng, 150, (-120, -70, 10), (120, 75, 110), 0.7, 2.4),
            food=Ripple.draw(rng, 16, 6, 22),
            pyramids=Ripple.draw(rng, 6, 14, 26),
        )

    def paint_behind(
        self, plane: Plane, tissues: Tissues, wall: Array, domes: Array, lining: Any
    ) -> None:
        """Paint the organs behind the liver; ``lining`` is the thickness of the muscle wall."""
        inside = plane.cover(wall + (lining + 1))
        below = inside * plane.cover(domes + 2)
        self._paint_heart(plane, tissues, inside * (1 - plane.cover(domes - 1)))
        if plane.z_mm > 0:
            paint_rods(plane, self.lung_twigs, inside * (plane.hu < -600), 40.0, Tissue.LUNG_VESSEL)
        paint_rods(plane, self.twigs, below, tissues.blood, Tissue.PORTAL_VEIN)
        self._paint_loops(plane, tissues, below)
        self._paint_great_vessels(plane, tissues)
        self._paint_pancreas(plane, tissues)
        self._paint_stomach(plane, tissues, below)
        self._paint_spleen(plane, tissues, wall + (lining + 2), domes)
        self._paint_kidneys(plane, tissues)

    def keep_out(self, distance: Array, plane: Plane) -> Array:
        """Cut organs that displace the liver out of it; ``distance`` is that to its surface."""
        return distance

    def paint_cava(self, plane: Plane, tissues: Tissues) -> None:
        """Paint the vena cava over everything else."""
        window = plane.around((*CAVA_MM[:2], plane.z_mm), (22, 20, 1))
        if window:
            x, y, _ = plane.points(window)
            cava = ellipse(x, y, CAVA_MM[:2], self.cava_radii_mm)
            plane.paint(window, plane.cover(cava), tissues.blood, Tissue.CAVA)

    def _paint_heart(self, plane: Plane, tissues: Tissues, above: Array) -> None:
        centre = (34, -38, 98 + self.heart_shift_mm)
        window = plane.around(centre, (66, 60, 56))
        if window:
            x, y, z = plane.points(window)
            heart = ellipsoid(x, y, z, centre, (62, 52, 54))
            outer, cover = (plane.cover(heart - mm) * above[window] for mm in (4, 0))
            plane.paint(window, outer, tissues.fat, Tissue.FAT)
            plane.paint(window, cover, tissues.heart_muscle, Tissue.HEART_MUSCLE)
            septum = np.abs((x - 34) * 0.8 + (y + 38) * 0.6) - 5
            chamber = intersection(heart + 9, -septum, 4)
            chamber = plane.cover(chamber) * above[window]
            plane.paint(window, chamber, tissues.blood, Tissue.HEART_BLOOD)

    def _paint_great_vessels(self, plane: Plane, tissues: Tissues) -> None:
        window = plane.around((11, -8, plane.z_mm), (18, 18, 1))
        if window:
            x, y, _ = plane.points(window)
            aorta = ellipse(x, y, (11, -7), (self.aorta_radius_mm,) * 2)
            plane.paint(window, plane.cover(aorta - 1.2), tissues.muscle, Tissue.MUSCLE)
            plane.paint(window, plane.cover(aorta), tissues.aorta, Tissue.AORTA)
        self.paint_cava(plane, tissues)

    def _paint_pancreas(self, plane: Plane, tissues: Tissues) -> None:
        window = plane.window((-34, -54, -48), (86, 24, 26))
        if window:
            x, y, z = plane.points(window)
            gland = tube(x, y, z, _PANCREAS_MM, (14, 9, 9, 8), 6) + 1.4 * self.food(x, y, z)
            plane.paint(window, plane.cover(gland), tissues.pancreas, Tissue.PANCREAS)
            vein = tube(x, y, z, ((12, -26, -34), (36, -16, -2), (80, 12, 12)), (5, 4.5, 3.5), 3)
            plane.paint(window, plane.cover(vein), tissues.blood, Tissue.PORTAL_VEIN)

    def _paint_stomach(self, plane: Plane, tissues: Tissues, below: Array) -> None:
        window = plane.window((-30, -92, -56), (112, 46, 96))
        if window is None:
            return
        x, y, z = plane.points(window)
        s = self.stomach_scale
        radii = (34 * s, 27 * s, 21 * s, 15 * s)
        folds = 1.2 * self.food(x, y, z)
        outer = tube(x, y, z, _STOMACH_MM, radii, 10)
        inner = outer + 5 + folds
        cover = plane.cover(outer) * below[window]
        plane.paint(window, cover, tissues.gut_wall, Tissue.GUT_WALL)
        filling = self.stomach_filling_hu + (self.stomach_filling_hu > 20) * 14 * self.food(x, y, z)
        gas = plane.cover(y - self.stomach_air_mm)
        filling = filling + (-980 - filling) * gas
        content = np.where(gas > 0.5, Tissue.GAS, Tissue.STOMACH_CONTENT)
        plane.paint(window, plane.cover(inner) * below[window], filling, content)

    def _paint_spleen(self, plane: Plane, tissues: Tissues, limit: Array, domes: Array) -> None:
        window = plane.around(self.spleen_centre_mm, self.spleen_radii_mm)
        if window is None:
            return
        x, y, z = plane.points(window)
        spleen = ellipsoid(x, y, z, self.spleen_centre_mm, self.spleen_radii_mm)
        spleen = intersection(spleen, limit[window], 5)
        spleen = intersection(spleen, domes[window] + 2, 4)
        hollow = ellipsoid(x, y, z, (52, -4, 10), (36, 36, 60))
        spleen = intersection(spleen, -hollow, 8)
        plane.paint(window, plane.cover(spleen), tissues.spleen, Tissue.SPLEEN)

    def _paint_kidneys(self, plane: Plane, tissues: Tissues) -> None:
        for side, centre in zip((-1, 1), self.kidney_centres_mm, strict=True):
            window = plane.around(centre, np.array(self.kidney_radii_mm) + 6)
            if window is None:
                continue
            x, y, z = plane.points(window)
            # The upper pole leans towards the spine.
            lean = x + side * 0.14 * (z - centre[2])
            kidney = ellipsoid(lean, y, z, centre, self.kidney_radii_mm)
            inner = np.array(self.kidney_radii_mm) * (0.52, 0.4, 0.66)
            sinus = ellipsoid(lean, y, z, np.add(centre, (-side * 17, -8, 0)), inner)
            plane.paint(window, plane.cover(kidney), tissues.kidney_cortex, Tissue.KIDNEY_CORTEX)
            medulla = intersection(kidney + 7, 2.2 * self.pyramids(x, y, z) - 0.6, 3)
            medulla = plane.cover(medulla, 3.0)
            plane.paint(window, medulla, tissues.kidney_medulla, Tissue.KIDNEY_MEDULLA)
            plane.paint(window, plane.cover(sinus, 3.0), tissues.fat + 25, Tissue.FAT)
            vein = capsule(
                lean, y, z, np.add(centre, (-side * 14, -9, 4)), (0, -20, centre[2] + 8), 4, 5
            )
            outside = plane.cover(vein) * plane.cover(-kidney - 8)
            plane.paint(window, outside, tissues.blood, Tissue.CAVA)

    def _paint_loops(self, plane: Plane, tissues: Tissues, below: Array) -> None:
        for loop in self.loops:
            window = plane.around(loop.centre_mm, loop.radii_mm)
            if window is None:
                continue
            x, y, z = plane.points(window)
            food = self.food(x, y, z)
            gut = ellipsoid(x, y, z, loop.centre_mm, loop.radii_mm) + 1.2 * food
            cover = plane.cover(gut) * below[window]
            plane.paint(window, cover, tissues.gut_wall, Tissue.GUT_WALL)
            content: Tissue | np.ndarray = Tissue.BOWEL_FLUID
            if loop.filling == "fluid":
                filling = 25 + 12 * food
            elif loop.filling == "faeces":
                filling = 20 - 260 * np.clip(food, 0, 2)
                content = Tissue.STOOL
            else:
                level = loop.centre_mm[1] + 3
                gas = plane.cover(y - level)
                filling = 20 - 980 * gas
                content = np.where(gas > 0.5, Tissue.GAS, Tissue.BOWEL_FLUID)
            plane.paint(window, plane.cover(gut + 2.8) * below[window], filling, content)


def _draw_loops(rng: np.random.Generator) -> tuple[Loop, ...]:
    loops = []
    for _ in range(int(rng.integers(62, 84))):
        z = rng.uniform(-125, 4)
        centre = (rng.uniform(-95, 112), rng.uniform(-78, -22 if z > -50 else 2), z)
        radii = tuple(rng.uniform(10, 23, 3))
        loops.append(
            Loop(centre, radii, str(rng.choice(["fluid", "gas", "faeces"], p=[0.5, 0.25, 0.25])))
        )
    return tuple(loops)


def _draw_twigs(rng, number: int, low_mm, high_mm, r0_mm: float, r1_mm: float) -> Rods:
    """Draw short rods in a box."""
    start = rng.uniform(low_mm, high_mm, size=(number, 3))
    end = start + rng.normal(0, 11, size=(number, 3))
    radius = rng.uniform(r0_mm, r1_mm, size=number)
    return start, end, radius, radius

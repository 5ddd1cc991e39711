"""One patient: random anatomy, painted at any height along the body."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from liver_tf.phantom.body import Body
from liver_tf.phantom.lesions import Form, PhantomLesion
from liver_tf.phantom.liver import Liver
from liver_tf.phantom.organs import Organs
from liver_tf.phantom.phantom_plan import PLAIN, VARIED
from liver_tf.phantom.plane import Plane
from liver_tf.phantom.random_streams import clipped_normal
from liver_tf.phantom.shapes import Array, Ripple
from liver_tf.phantom.tissues import AIR_HU, Tissues
from liver_tf.phantom.varied_body import VariedBody
from liver_tf.phantom.varied_organs import VariedLiver, VariedOrgans

LOWEST_MM, HIGHEST_MM = -140.0, 120.0
SURVEY_MM = 4.0


@dataclass(frozen=True)
class Habitus:
    """Size and position of a patient's body relative to the standard frame.

    Attributes:
      scale: factors along x, y, z.
      angle_rad: rotation on the table.
      warp, warp_mm: ripples that displace points along x, y, z, and SD of the displacement.
    """

    scale: tuple[float, ...]
    angle_rad: float
    warp: tuple[Ripple, ...]
    warp_mm: float

    @classmethod
    def draw(cls, rng: np.random.Generator, varied: bool = False) -> "Habitus":
        size_sd, sd, low, high = (0.08, 0.06, 0.8, 1.25) if varied else (0.06, 0.04, 0.86, 1.16)
        size = rng.normal(0.02, size_sd)
        scale = [float(np.clip(np.exp(size + rng.normal(0, sd)), low, high)) for _ in "xyz"]
        warp = [Ripple.draw(rng, 4, 130, 300) for _ in "xyz"]
        tilt = 0.08 if varied else 0.02
        angle = clipped_normal(rng, 0, tilt, -2.5 * tilt, 2.5 * tilt)
        return cls(tuple(scale), angle, tuple(warp), 4.0 if varied else 2.2)

    def to_standard(self, x_mm: Array, y_mm: Array, z_mm: float) -> tuple[Array, Array, Array]:
        """Map points in mm around the patient's axis to the standard frame."""
        c, s = np.float32(np.cos(self.angle_rad)), np.float32(np.sin(self.angle_rad))
        x = (c * x_mm + s * y_mm) / np.float32(self.scale[0])
        y = (c * y_mm - s * x_mm) / np.float32(self.scale[1])
        z: Any = np.float32(z_mm / self.scale[2])
        moved = [w(x, y, z) * np.float32(self.warp_mm) for w in self.warp]
        return x + moved[0], y + moved[1], z + moved[2]


@dataclass(frozen=True)
class Level:
    """A coarse survey plane: height, points, and distance of each point to the liver's surface."""

    z_mm: float
    plane: Plane
    liver_mm: Array

    @property
    def liver_area_mm2(self) -> float:
        return float((self.liver_mm < 0).sum()) * SURVEY_MM**2


@dataclass(frozen=True)
class Patient:
    """A patient without lesions."""

    tissues: Tissues
    body: Body
    liver: Liver
    organs: Organs
    habitus: Habitus

    @classmethod
    def draw(cls, rng: np.random.Generator, anatomy: str = PLAIN) -> "Patient":
        """Draw a patient of one of ``ANATOMIES``."""
        if anatomy == VARIED:
            return cls(
                Tissues.draw_varied(rng),
                VariedBody.draw(rng),
                VariedLiver.draw(rng),
                VariedOrgans.draw(rng),
                Habitus.draw(rng, varied=True),
            )
        return cls(
            Tissues.draw(rng), Body.draw(rng), Liver.draw(rng), Organs.draw(rng), Habitus.draw(rng)
        )

    @property
    def half_width_mm(self) -> float:
        return (140 + 1.1 * self.body.fat_mm) * self.habitus.scale[0]

    @property
    def half_depth_mm(self) -> float:
        return (96 + 1.1 * self.body.fat_mm) * self.habitus.scale[1]

    def plane(self, x_mm: Array, y_mm: Array, z_mm: float, edge_mm: float) -> Plane:
        """An unpainted plane through the points ``x_mm`` (columns) and ``y_mm`` (rows)."""
        x, y, z = self.habitus.to_standard(
            x_mm[None, :].astype(np.float32), y_mm[:, None].astype(np.float32), z_mm
        )
        scale = float(np.mean(self.habitus.scale))
        return Plane(x, y, z, edge_mm / scale, np.full(x.shape, AIR_HU, np.float32))

    def liver_distance(self, plane: Plane) -> Array:
        """Distance of a plane's points to the liver's surface in mm."""
        x, y, z = plane.x, plane.y, plane.z
        wall, domes = self.body.outline(x, y, z), self.body.domes(x, y, z)
        distance = self.liver.distance(x, y, z, wall, domes, self.body)
        return self.organs.keep_out(distance, plane)

    @cached_property
    def survey(self) -> tuple[Level, ...]:
        """Coarse planes through the liver, 4 mm apart, from lowest to highest."""
        x_mm = np.arange(-150, 121, SURVEY_MM) * self.habitus.scale[0]
        y_mm = np.arange(-104, 97, SURVEY_MM) * self.habitus.scale[1]
        levels = []
        for z_mm in np.arange(LOWEST_MM, HIGHEST_MM, SURVEY_MM):
            plane = self.plane(x_mm, y_mm, float(z_mm), SURVEY_MM)
            levels.append(Level(float(z_mm), plane, self.liver_distance(plane)))
        return tuple(levels)

    def liver_points(self) -> tuple[np.ndarray, np.ndarray]:
        """Survey points inside the liver: float [points, 3] in mm, and their depths in mm."""
        points, depths = [], []
        for level in self.survey:
            inside = level.liver_mm < -2
            plane = level.plane
            points.append(np.stack([plane.x[inside], plane.y[inside], plane.z[inside]], axis=1))
            depths.append(-level.liver_mm[inside])
        return np.concatenate(points).astype(float), np.concatenate(depths)

    def paint(self, plane: Plane, lesions: tuple[PhantomLesion, ...]) -> tuple[Array, Array]:
        """Paint a plane; return the distances to the muscle wall and to the liver in mm."""
        wall = self.body.paint(plane, self.tissues)
        domes = self.body.domes(plane.x, plane.y, plane.z)
        lining = self.body.lining(plane.x, plane.y, plane.z)
        self.organs.paint_behind(plane, self.tissues, wall, domes, lining)
        liver = self.liver.distance(plane.x, plane.y, plane.z, wall, domes, self.body)
        liver = self.organs.keep_out(liver, plane)
        cuts = [(lesion, *cut) for lesion in lesions if (cut := lesion.cut(plane))]
        vessels = np.ones_like(liver)
        for lesion, window, distance in cuts:
            np.minimum(vessels[window], lesion.vessel_share(distance), out=vessels[window])
        cover = self.liver.paint(plane, self.tissues, liver, vessels)
        self.organs.paint_cava(plane, self.tissues)
        for lesion, window, distance in cuts:
            lesion.paint(plane, cover, window, distance)
        return wall, liver


def lesion_area_mm2(level: Level, forms: tuple[Form, ...], scale: float) -> float:
    """Lesion area inside the liver on a survey plane, in mm2."""
    total = 0
    for form in forms:
        window = level.plane.around(form.centre_mm, (form.reach_mm,) * 3)
        if window:
            inside = form.distance(*level.plane.points(window)) < 0
            total += int((inside & (level.liver_mm[window] < 0)).sum())
    return total * (SURVEY_MM * scale) ** 2

"""Livers and other organs of the varied anatomy."""

from dataclasses import dataclass

import numpy as np

from liver_tf.phantom.body import Body
from liver_tf.phantom.bowel import Bowel
from liver_tf.phantom.liver import CAVA_MM, Liver
from liver_tf.phantom.organs import Organs
from liver_tf.phantom.plane import Plane
from liver_tf.phantom.random_streams import clipped_normal, clipped_normals
from liver_tf.phantom.shapes import Array, Ripple, capsule, ellipse, intersection, union
from liver_tf.phantom.tissues import Tissues
from liver_tf.phantom.varied_body import VariedBody


@dataclass(frozen=True)
class VariedLiver(Liver):
    """A liver of unusual size or shape; see ``Liver``.

    Attributes:
      scale: size of the lobes.
      dome_from_mm: height above which the right lobe fills the dome.
      cut: (nx, ny, nz, offset) of a plane beyond which the liver was resected; None without.
      nodules_mm: amplitude of a nodular surface, ``nodules`` its ripple.
      parts: further parts of the lobes, each (start, end, radius at the start, at the end): the
        quadrate lobe in front of the gall bladder, the caudate lobe in front of the vena cava, its
        process to the right lobe and its papillary process, which hangs behind the portal vein.
    """

    scale: float
    dome_from_mm: float
    cut: tuple[float, ...] | None
    nodules_mm: float
    nodules: Ripple
    parts: tuple[tuple, ...]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "VariedLiver":
        base = vars(Liver.draw(rng))
        kind = rng.choice(["usual", "reaching", "resected", "small", "large"], p=_KINDS)
        cut = None
        if kind == "resected":
            # Right lobe, left lobe, or the lower part of the right one.
            side = rng.random()
            normal = (-1, 0.3, 0) if side < 0.5 else (1, -0.3, 0) if side < 0.75 else (-0.6, 0, -1)
            cut = (*normal, float(rng.uniform(-5, 35)))
        reach = {"reaching": (105, 18, 80, 135), "resected": (80, 30, 30, 130)}
        return cls(
            **{
                **base,
                "right_radii_mm": clipped_normals(
                    rng, (80, 8, 62, 96), (86, 8, 68, 104), (92, 16, 62, 135)
                ),
                "left_reach_mm": clipped_normal(rng, *reach.get(kind, (48, 25, 0, 105))),
                "left_height_mm": clipped_normal(rng, 40, 10, 20, 66),
                "visceral_offset_mm": clipped_normal(rng, -22, 11, -46, 2),
                "visceral_slope": clipped_normal(rng, 0.62, 0.16, 0.3, 0.95),
            },
            scale={"small": 0.8, "large": 1.12}.get(kind, 1.0) * float(rng.uniform(0.93, 1.07)),
            dome_from_mm=clipped_normal(rng, 20, 12, -5, 45),
            cut=cut,
            nodules_mm=float(rng.uniform(1.5, 4)) if kind == "small" else 0.0,
            nodules=Ripple.draw(rng, 10, 10, 26),
            parts=_draw_parts(rng),
        )

    def _lobes(self, x: Array, y: Array, z: Array) -> Array:
        lobes = super()._lobes(x, y, z)
        for start_mm, end_mm, r0_mm, r1_mm in self.parts:
            lobes = union(lobes, capsule(x, y, z, start_mm, end_mm, r0_mm, r1_mm), 7)
        return lobes

    def distance(
        self, x: Array, y: Array, z: Array, wall: Array, domes: Array, body: Body
    ) -> Array:
        # Scaled about a point below the dome, which the liver then still touches.
        at = (-60.0, -20.0, 60.0)
        scaled = (np.float32(c) + (p - np.float32(c)) / np.float32(self.scale) for p, c in
                  zip((x, y, z), at, strict=True))  # fmt: skip
        distance = self._lobes(*scaled) * self.scale
        if isinstance(body, VariedBody):
            # The right lobe fills the dome.
            dome = np.maximum(body.right_dome(x, y, z), 0.3 * (y + 20) + x)
            distance = union(distance, intersection(dome, self.dome_from_mm - z, 20), 14)
        if self.nodules_mm:
            distance = distance + self.nodules_mm * self.nodules(x, y, z)
        if self.cut is not None:
            nx, ny, nz, offset = self.cut
            distance = intersection(distance, nx * (x + 20) + ny * (y + 20) + nz * z - offset, 12)
        return self._inside_body(distance, x, y, z, wall, domes, body)


def _draw_parts(rng: np.random.Generator) -> tuple[tuple, ...]:
    lowest = clipped_normal(rng, -24, 16, -58, 10)
    quadrate_mm, caudate_mm = clipped_normals(rng, (17, 5, 8, 27), (13, 4, 6, 22))
    front = clipped_normals(rng, (-20, 7, -36, -6), (-66, 8, -82, -50))
    caudate = clipped_normals(rng, (-6, 5, -16, 6), (-28, 4, -36, -20))
    parts = [
        ((*front, 24.0), (*front, lowest), quadrate_mm, 0.6 * quadrate_mm),
        ((*caudate, 34.0), (*caudate, 4.0), caudate_mm, 0.9 * caudate_mm),
        ((*caudate, 6.0), (-48.0, -10.0, -6.0), 0.6 * caudate_mm, 0.8 * caudate_mm),
    ]
    if rng.random() < 0.5:
        tip = (caudate[0] + 8.0, caudate[1] - 2.0, float(rng.uniform(-26, 0)))
        parts.append(((*caudate, 6.0), tip, 0.7 * caudate_mm, 0.5 * caudate_mm))
    return tuple(parts)


#: Shares of usual livers, long left lobes, resections, small nodular and large livers.
_KINDS = (0.55, 0.15, 0.1, 0.1, 0.1)


@dataclass(frozen=True)
class VariedOrgans(Organs):
    """Organs with packed bowel and more variation; see ``Organs``."""

    bowel: Bowel

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "VariedOrgans":
        base = vars(Organs.draw(rng))
        scale = float(rng.choice([rng.uniform(0.7, 1.1), rng.uniform(1.2, 1.75)], p=[0.8, 0.2]))
        return cls(
            **{
                **base,
                "spleen_radii_mm": tuple(scale * r for r in base["spleen_radii_mm"]),
                "stomach_scale": clipped_normal(rng, 1.15, 0.35, 0.5, 1.9),
                "stomach_air_mm": clipped_normal(rng, -40, 20, -85, 5),
                "heart_shift_mm": clipped_normal(rng, -2, 10, -22, 18),
            },
            bowel=Bowel.draw(rng),
        )

    def keep_out(self, distance: Array, plane: Plane) -> Array:
        x, y = plane.x, plane.y
        cava = ellipse(x, y, CAVA_MM[:2], self.cava_radii_mm)
        # The vena cava lies in the back of the liver, which is open towards the spine there.
        cava = union(cava, capsule(x, y, 0 * x, CAVA_MM, (-12, 12, 0), 7, 10), 4)
        return self.bowel.keep_out(intersection(distance, 0.3 - cava, 2), plane, 1.5)

    def _paint_loops(self, plane: Plane, tissues: Tissues, below: Array) -> None:
        self.bowel.paint(plane, tissues, below)

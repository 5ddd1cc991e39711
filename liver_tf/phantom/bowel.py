"""Bowel that fills the belly: a colon with haustra around a pack of small-bowel segments."""

import itertools
from dataclasses import dataclass

import numpy as np

from liver_tf.phantom.plane import Plane, Window
from liver_tf.phantom.random_streams import clipped_normal
from liver_tf.phantom.shapes import Array, Ripple, capsule, union
from liver_tf.phantom.tissue_codes import Tissue
from liver_tf.phantom.tissues import Tissues

FILLINGS = ("fluid", "stool", "gas", "collapsed")


@dataclass(frozen=True)
class BowelSegment:
    """A straight piece of bowel: a round rod with a wall and a filling of ``FILLINGS``."""

    start_mm: np.ndarray
    end_mm: np.ndarray
    r0_mm: float
    r1_mm: float
    wall_mm: float
    filling: str

    def distance(self, x: Array, y: Array, z: Array) -> Array:
        return capsule(x, y, z, self.start_mm, self.end_mm, self.r0_mm, self.r1_mm)

    def window(self, plane: Plane, margin_mm: float) -> Window | None:
        """Window of a plane that contains the segment and a margin."""
        reach = max(self.r0_mm, self.r1_mm) + margin_mm
        low, high = np.minimum(self.start_mm, self.end_mm), np.maximum(self.start_mm, self.end_mm)
        return plane.window(low - reach, high + reach)


@dataclass(frozen=True)
class Bowel:
    """Colon and small bowel of a patient; ``food`` is the ripple of walls and fillings."""

    colon: tuple[BowelSegment, ...]
    small: tuple[BowelSegment, ...]
    food: Ripple

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Bowel":
        return cls(_draw_colon(rng), _draw_small(rng), Ripple.draw(rng, 16, 6, 22))

    def keep_out(self, distance: Array, plane: Plane, gap_mm: float) -> Array:
        """Cut the colon out of a shape, given as the distance to it on a plane."""
        for segment in self.colon:
            window = segment.window(plane, 8)
            if window:
                gut = segment.distance(*plane.points(window))
                distance[window] = -union(-distance[window], gut - gap_mm, 6)
        return distance

    def paint(self, plane: Plane, tissues: Tissues, below: Array) -> None:
        """Paint the bowel where ``below``, the cover of the belly, allows it."""
        # Once for all segments, whose windows overlap.
        ripple = self.food(plane.x, plane.y, plane.z)
        for segment in (*self.small, *self.colon):
            window = segment.window(plane, 4)
            if window is None:
                continue
            x, y, z = plane.points(window)
            food = ripple[window]
            gut = segment.distance(x, y, z) + 1.3 * food
            cover = plane.cover(gut) * below[window]
            plane.paint(window, cover, tissues.gut_wall, Tissue.GUT_WALL)
            if segment.filling == "collapsed":
                continue
            inner = plane.cover(gut + segment.wall_mm) * below[window]
            level = 0.5 * (segment.start_mm[1] + segment.end_mm[1])
            gas = {
                "fluid": np.zeros_like(food),
                "gas": plane.cover(y - level - 0.3 * max(segment.r0_mm, segment.r1_mm)),
                "stool": plane.cover(6 * (1.1 - food)),
            }[segment.filling]
            content = Tissue.STOOL if segment.filling == "stool" else Tissue.BOWEL_FLUID
            hu = (-20 - 60 * food if segment.filling == "stool" else 22 + 10 * food) * (1 - gas)
            codes = np.where(gas > 0.5, np.uint8(Tissue.GAS), np.uint8(content))
            plane.paint(window, inner, hu - 980 * gas, codes)


def _draw_colon(rng: np.random.Generator) -> tuple[BowelSegment, ...]:
    """Draw ascending, transverse and descending colon; in one patient of six before the liver."""
    sag, high = rng.uniform(0, 60), rng.uniform(-15, 25)
    points = [
        (-92, 12, -190),
        (-96, 8, -100),
        (-84, -12, rng.uniform(-75, -35)),
        (-45, -72, -40 - sag),
        (0, -82, -48 - sag),
        (48, -78, -25 - 0.6 * sag),
        (94, -18, high),
        (106, 22, -40),
        (98, 26, -190),
    ]
    if rng.random() < 1 / 6:
        top = rng.uniform(0, 45)
        points[3:4] = [(-70, -78, top), (-20, -84, top - 10)]
    course = [np.array(point, float) + rng.normal(0, 5, 3) for point in points]
    radius, stool = clipped_normal(rng, 19, 6, 9, 32), rng.uniform(0.2, 0.9)
    segments = []
    for start, end in itertools.pairwise(course):
        # Haustra: short pieces that bulge.
        number = max(2, int(np.linalg.norm(end - start) / 26))
        places = start + np.linspace(0, 1, number + 1)[:, None] * (end - start)
        places[1:-1] += rng.normal(0, 3, (number - 1, 3))
        filling = str(rng.choice(FILLINGS, p=_shares(stool, 0.35, 0.1)))
        size = radius * rng.uniform(0.6, 1.25)
        for a, b in itertools.pairwise(places):
            r0, r1 = size * rng.uniform(0.75, 1.15, 2)
            if filling == "collapsed":
                r0, r1 = 0.45 * r0, 0.45 * r1
            segments.append(BowelSegment(a, b, r0, r1, float(rng.uniform(1.5, 3.5)), filling))
    return tuple(segments)


def _shares(stool: float, gas: float, collapsed: float) -> tuple[float, ...]:
    """Shares of the fillings: of what is not collapsed, stool and then gas take their share."""
    full = 1 - collapsed
    rest = full * (1 - stool)
    return rest * (1 - gas), full * stool, rest * gas, collapsed


def _draw_small(rng: np.random.Generator) -> tuple[BowelSegment, ...]:
    """Draw segments on a shaken grid, so that they fill the belly without large gaps."""
    segments = []
    size, gas = clipped_normal(rng, 13, 3, 8, 20), rng.uniform(0.05, 0.4)
    wall = rng.uniform(1.8, 4.5)
    step = rng.uniform(1.8, 2.4) * size
    for z in np.arange(-200, 70, step):
        for x in np.arange(-96, 104, step):
            for y in np.arange(-80, 40, 0.9 * step):
                # Up to the diaphragm where the liver may be missing, not behind the stomach.
                if rng.random() < 0.06 or (z > 15 and x > -10) or (y > 2 and z < -20):
                    continue
                middle = np.array([x, y, z]) + rng.normal(0, 0.22 * step, 3)
                half = rng.normal(0, 1, 3) * (1, 0.8, 0.8) * rng.uniform(0.3, 1.0) * size
                filling = str(rng.choice(FILLINGS, p=_shares(0.08, gas, 0.3)))
                r0, r1 = size * rng.uniform(0.75, 1.15, 2)
                if filling == "collapsed":
                    r0, r1 = 0.7 * r0, 0.7 * r1
                segments.append(BowelSegment(middle - half, middle + half, r0, r1, wall, filling))
    return tuple(segments)

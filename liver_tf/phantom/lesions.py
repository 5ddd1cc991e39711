"""Lesions: position, size and shape (independent of the type), and the appearance of each type.

Types differ in attenuation and texture only. To add a type, extend ``TYPES`` and ``_DRAW_LOOK``.
Sources of the numbers: ``docs/phantom.md``, section "Lesions".
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from liver_tf.phantom.plane import Plane, Window
from liver_tf.phantom.random_streams import clipped_normal
from liver_tf.phantom.shapes import Array, Ripple, smoothstep
from liver_tf.phantom.tissues import Tissues

TYPES = ("cyst", "hemangioma", "metastasis")
MIN_DIAMETER_MM, MAX_DIAMETER_MM = 5.0, 60.0
#: Looks of lesions of the LiTS-like volumes, and their shares.
UNTYPED = {"dark": 0.65, "bright": 0.1, "ring": 0.1, "calcified": 0.05, "mixed": 0.1}


@dataclass(frozen=True)
class Form:
    """Position, size and shape of a lesion.

    Attributes:
      centre_mm: in the standard frame.
      radii_mm: of the ellipsoid, before its surface is made irregular.
      axes: float32 [3, 3], the ellipsoid's axes as rows.
      surface, roughness: ripple of the surface and its amplitude as a share of the radius.
    """

    centre_mm: np.ndarray
    radii_mm: np.ndarray
    axes: np.ndarray
    roughness: float
    surface: Ripple

    @property
    def reach_mm(self) -> float:
        return float(self.radii_mm.max() * (1 + 2.5 * self.roughness) + 8)

    @property
    def mean_radius_mm(self) -> float:
        return float(self.radii_mm.prod() ** (1 / 3))

    def distance(self, x: Array, y: Array, z: Array) -> Array:
        """Distance to the lesion's surface in mm, negative inside."""
        dx, dy, dz = (p - np.float32(c) for p, c in zip((x, y, z), self.centre_mm, strict=True))
        squares = 0
        for axis, radius in zip(self.axes, self.radii_mm, strict=True):
            along = (axis[0] * dx + axis[1] * dy + axis[2] * dz) / np.float32(radius)
            squares = squares + along * along
        mean = np.float32(self.mean_radius_mm)
        return (np.sqrt(squares) - 1 - self.roughness * self.surface(x, y, z)) * mean


@dataclass(frozen=True)
class Look:
    """Appearance of a lesion.

    Attributes:
      hu: attenuation of the parts that are none of the following.
      edge_mm: width of the transition to the liver.
      texture, texture_hu: ripple inside the lesion and its SD.
      core_hu, core_share: HU change of the core and its share of the radius.
      rim_hu, rim_mm: HU change of a ring at the edge, and half its width.
      filling: how far enhanced nodules fill the lesion, from the rim: -0.5 a few nodules at the
        rim, 0 half of the rim, above 1.5 all of the lesion; exactly 0 no nodules.
      nodule_hu: greatest attenuation of the nodules.
      nodule_edge: how gradually nodules fade, in SDs of the ripple; above 1 they look uneven.
      calcium_hu: HU increase of calcified specks.
    """

    hu: float
    edge_mm: float
    texture: Ripple
    texture_hu: float
    core_hu: float = 0.0
    core_share: float = 0.0
    rim_hu: float = 0.0
    rim_mm: float = 1.8
    filling: float = 0.0
    nodule_hu: float = 0.0
    nodule_edge: float = 0.5
    calcium_hu: float = 0.0


@dataclass(frozen=True)
class PhantomLesion:
    """A lesion with its form and its look."""

    form: Form
    look: Look

    def cut(self, plane: Plane) -> tuple[Window, Array] | None:
        """Window around the lesion, and distances to its surface; None if the plane misses it."""
        window = plane.around(self.form.centre_mm, (self.form.reach_mm,) * 3)
        return window and (window, self.form.distance(*plane.points(window)))

    def vessel_share(self, distance: Array) -> Array:
        """How much of a vessel is left at a distance from the lesion, 0 to 1.

        Vessels fade before they reach the lesion. A vessel that ended at its surface would look
        like an enhanced nodule.
        """
        return np.clip((distance - np.float32(1.5 + self.look.edge_mm / 2)) / 4, 0, 1)

    def paint(self, plane: Plane, liver_cover: Array, window: Window, distance: Array) -> None:
        """Paint the lesion inside the liver; ``window`` and ``distance`` are from ``cut``."""
        cover = plane.cover(distance, self.look.edge_mm)
        if self.look.edge_mm > plane.edge_mm:
            cover = smoothstep(cover)
        hu = self.attenuation(*plane.points(window), distance)
        plane.paint(window, cover * liver_cover[window], hu)

    def attenuation(self, x: Array, y: Array, z: Array, distance: Array) -> Array:
        """HU at points, at the given distances to the surface."""
        look = self.look
        ripple = look.texture(x, y, z)
        radius = np.float32(self.form.mean_radius_mm)
        depth = np.clip(-distance / radius, 0, 1)
        hu = look.hu + look.texture_hu * ripple
        if look.filling:
            # Nodules are peaks of the ripple. The threshold rises from rim to centre: nodules
            # start at the rim, with gaps, and merge as the filling grows.
            threshold = 0.1 - 2.4 * look.filling + 2.6 * depth
            enhanced = smoothstep((ripple - threshold) / look.nodule_edge + 0.5)
            hu = hu + (look.nodule_hu - look.hu) * enhanced
        if look.core_share:
            hu = hu + look.core_hu * smoothstep((depth - (1 - look.core_share)) / 0.25)
        if look.rim_hu:
            hu = hu + look.rim_hu * np.exp(-(((distance + 2.0) / look.rim_mm) ** 2))
        if look.calcium_hu:
            hu = hu + look.calcium_hu * smoothstep((ripple - 1.4) / 0.6)
        return hu


def draw_diameter(rng: np.random.Generator) -> float:
    """Draw a diameter in mm: 5 to 60, median 20, for every type."""
    return float(np.clip(rng.lognormal(np.log(20), 0.55), MIN_DIAMETER_MM, MAX_DIAMETER_MM))


def draw_number(rng: np.random.Generator, most: int) -> int:
    """Draw the number of lesions of a patient: often one, at most ``most``."""
    return int(min(rng.geometric(0.45), most))


def draw_forms(
    rng: np.random.Generator,
    number: int,
    inside_mm: np.ndarray,
    depth_mm: np.ndarray,
    vessel_mm: Callable[[np.ndarray], float],
) -> tuple[Form, ...]:
    """Draw lesions that lie in the liver and do not touch each other; fewer if there is no room.

    Lesions may touch the capsule: the centre lies at least 0.45 radii deep. No large vessel runs
    through a lesion; small ones end before they reach it (``PhantomLesion.vessel_share``).

    Args:
      inside_mm: float [points, 3], points inside the liver; centres are chosen from them.
      depth_mm: float [points], depth of each point below the liver's surface.
      vessel_mm: distance of a point to the nearest large vessel.
    """
    forms: list[Form] = []
    for _ in range(number):
        diameter = draw_diameter(rng)
        squeeze = np.exp(rng.normal(0, 0.16, 3))
        radii = diameter / 2 * squeeze / squeeze.prod() ** (1 / 3)
        axes = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        roughness = float(rng.uniform(0.02, 0.16))
        surface = Ripple.draw(rng, 8, 0.8 * diameter, 2.0 * diameter)
        for i in rng.permutation(len(inside_mm))[:400]:
            centre = inside_mm[i] + rng.uniform(-1.5, 1.5, 3)
            if depth_mm[i] <= 0.45 * diameter / 2 + 1:
                continue
            far = all(
                np.linalg.norm(centre - f.centre_mm) > 1.1 * (radii.max() + f.radii_mm.max()) + 3
                for f in forms
            )
            if far and vessel_mm(centre) > radii.max() + 2:
                forms.append(Form(centre, radii, axes.astype(np.float32), roughness, surface))
                break
    return tuple(forms)


def draw_look(rng: np.random.Generator, kind: str, tissues: Tissues, diameter_mm: float) -> Look:
    """Draw the appearance of a lesion type in this patient."""
    if kind not in _DRAW_LOOK:
        raise ValueError(f"expected a lesion kind of {KINDS}; got {kind!r}")
    return _DRAW_LOOK[kind](rng, tissues, diameter_mm)


def _visible(hu: float, least_hu: float, tissues: Tissues) -> float:
    """``hu``, but at least ``least_hu``; if that equals a fatty liver, brighter than the liver."""
    if tissues.liver - least_hu < 12:
        least_hu = max(least_hu, tissues.liver + 12)
    return float(max(hu, least_hu))


def _untyped(rng: np.random.Generator, tissues: Tissues, diameter_mm: float) -> Look:
    """Lesions of the LiTS-like volumes: most are darker than the liver, some brighter or mixed."""
    pattern = rng.choice(list(UNTYPED), p=list(UNTYPED.values()))
    contrast = -rng.uniform(12, 50) if pattern == "bright" else rng.uniform(10, 70)
    look = Look(
        hu=_visible(tissues.liver - contrast, 0.0, tissues),
        edge_mm=float(rng.uniform(0.8, 7)),
        texture=Ripple.draw(rng, 8, 5, 16),
        texture_hu=float(rng.uniform(0, 9)),
    )
    if pattern == "dark":
        core_share = rng.choice([0.0, rng.uniform(0.3, 0.7)])
        return replace(look, core_hu=float(rng.uniform(-25, 0)), core_share=float(core_share))
    if pattern == "ring":
        ring = contrast + rng.uniform(-10, 40)
        return replace(look, rim_hu=float(ring), rim_mm=float(rng.uniform(1, 2.5)))
    if pattern == "calcified":
        return replace(look, calcium_hu=float(rng.uniform(80, 400)))
    if pattern == "mixed":
        return replace(
            look,
            filling=float(rng.uniform(0.1, 0.9)),
            nodule_hu=float(tissues.liver + rng.uniform(-10, 60)),
            nodule_edge=float(rng.uniform(0.5, 1.5)),
        )
    return look


def _cyst(rng: np.random.Generator, tissues: Tissues, diameter_mm: float) -> Look:
    """Fluid of 0 to 20 HU; one in seven is denser, by protein, blood or pseudo-enhancement."""
    dense = rng.random() < 0.15
    return Look(
        hu=float(rng.uniform(20, 38) if dense else rng.uniform(0, 20)),
        edge_mm=float(rng.uniform(0.8, 1.6)),
        texture=Ripple.draw(rng, 4, 12, 30),
        texture_hu=0.8,
    )


def _hemangioma(rng: np.random.Generator, tissues: Tissues, diameter_mm: float) -> Look:
    """Nodules at the rim, in part as bright as vessels; some lesions are filled, some stay dark."""
    pattern = rng.random()
    filled = 0.31 if diameter_mm < 30 else 0.05
    if pattern < 0.08:
        filling = rng.uniform(-0.5, -0.2)
    elif pattern < 0.08 + filled:
        filling = rng.uniform(1.5, 2.0)
    else:
        filling = rng.uniform(0.02, 0.95)
    as_bright_as_vessels, uneven = rng.random() < 0.2, rng.random() < 0.64
    share = rng.uniform(0.92, 1.02) if as_bright_as_vessels else rng.uniform(0.3, 0.8)
    radius, vessels = diameter_mm / 2, max(tissues.blood, tissues.aorta)
    return Look(
        hu=clipped_normal(rng, 48 + 8 * tissues.phase, 7, 30, 75),
        edge_mm=float(rng.uniform(0.8, 2.5)),
        texture=Ripple.draw(rng, 12, max(0.55 * radius, 5), max(1.5 * radius, 11)),
        texture_hu=0.0,
        filling=float(filling),
        nodule_hu=float(tissues.liver + share * (vessels - tissues.liver)),
        nodule_edge=float(rng.uniform(1, 2) if uneven else 0.5),
    )


def _metastasis(rng: np.random.Generator, tissues: Tissues, diameter_mm: float) -> Look:
    """Darker than the liver, two of three with a ring; some vascular, necrotic or calcified."""
    contrast = rng.choice(
        [
            rng.uniform(30, 80),
            rng.uniform(12, 25),  # faint, or vascular and washed out in this phase
            rng.uniform(-30, -12),  # vascular and still brighter than the liver
            rng.uniform(80, 120),  # so necrotic that it resembles a cyst
        ],
        p=[0.78, 0.11, 0.04, 0.07],
    )
    ring, core, calcified = rng.random(3) < (0.65, 0.35, 0.11)
    return Look(
        hu=_visible(tissues.liver - contrast, 22.0, tissues),
        edge_mm=float(rng.uniform(1.2, 6)),
        texture=Ripple.draw(rng, 10, 4, 14),
        texture_hu=float(rng.uniform(4, 11)),
        core_hu=-float(rng.uniform(8, 32)) if core else 0.0,
        core_share=float(rng.uniform(0.4, 0.75)) if core else 0.0,
        rim_hu=float(max(contrast * rng.uniform(0.2, 0.8), 12.0)) if ring else 0.0,
        rim_mm=float(rng.choice([1.0, 2.0], p=[1 / 3, 2 / 3])),
        calcium_hu=float(rng.uniform(80, 400)) if calcified else 0.0,
    )


#: By lesion type; ``untyped`` are those of the LiTS-like volumes.
_DRAW_LOOK = {
    "untyped": _untyped,
    "cyst": _cyst,
    "hemangioma": _hemangioma,
    "metastasis": _metastasis,
}

#: Every lesion kind of ``draw_look``.
KINDS = tuple(_DRAW_LOOK)

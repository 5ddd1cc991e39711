"""Lesions: position, size and shape (independent of the type), and the appearance of each type.

Types differ in attenuation and texture only. To add a type, extend ``TYPES`` and ``_DRAW_LOOK``.
"""

from dataclasses import dataclass

import numpy as np

from liver_tf.phantom.plane import Plane
from liver_tf.phantom.random_streams import clipped_normal
from liver_tf.phantom.shapes import Array, Ripple, smoothstep
from liver_tf.phantom.tissues import Tissues

TYPES = ("cyst", "hemangioma", "metastasis")
MIN_DIAMETER_MM, MAX_DIAMETER_MM = 5.0, 60.0


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
      kind: ``hypodense`` (LiTS-like), ``cyst``, ``hemangioma`` or ``metastasis``.
      edge_mm: width of the transition to the liver.
      texture, texture_hu: ripple inside the lesion and its SD.
      core_hu, core_share: HU change of the core and its share of the radius.
      rim_hu: HU change of a ring at the edge.
      filling: how far a hemangioma's nodules fill it, 0 to about 1.
      nodule_hu: attenuation of a hemangioma's enhanced parts.
    """

    kind: str
    hu: float
    edge_mm: float
    texture: Ripple
    texture_hu: float
    core_hu: float = 0.0
    core_share: float = 0.0
    rim_hu: float = 0.0
    filling: float = 0.0
    nodule_hu: float = 0.0


@dataclass(frozen=True)
class PhantomLesion:
    """A lesion with its form and its look."""

    form: Form
    look: Look

    def paint(self, plane: Plane, liver_cover: Array) -> None:
        """Paint the lesion inside the liver."""
        window = plane.around(self.form.centre_mm, (self.form.reach_mm,) * 3)
        if window is None:
            return
        x, y, z = plane.points(window)
        distance = self.form.distance(x, y, z)
        cover = plane.cover(distance, self.look.edge_mm)
        if self.look.edge_mm > plane.edge_mm:
            cover = smoothstep(cover)
        hu = self._attenuation(x, y, z, distance)
        plane.paint(window, cover * liver_cover[window], hu)

    def _attenuation(self, x: Array, y: Array, z: Array, distance: Array) -> Array:
        look = self.look
        ripple = look.texture(x, y, z)
        radius = np.float32(self.form.mean_radius_mm)
        depth = np.clip(-distance / radius, 0, 1)
        if look.kind == "hemangioma":
            # Nodules are peaks of the ripple. The threshold rises from rim to centre: nodules
            # start at the rim, with gaps, and merge as the filling grows.
            threshold = 0.1 - 2.4 * look.filling + 2.6 * depth
            enhanced = smoothstep((ripple - threshold) / 0.5 + 0.5)
            return look.hu + (look.nodule_hu - look.hu) * enhanced
        hu = look.hu + look.texture_hu * ripple
        if look.core_share:
            hu = hu + look.core_hu * smoothstep((depth - (1 - look.core_share)) / 0.25)
        if look.rim_hu:
            hu = hu + look.rim_hu * np.exp(-(((distance + 2.0) / 1.8) ** 2))
        return hu


def draw_diameter(rng: np.random.Generator) -> float:
    """Draw a diameter in mm: 5 to 60, median 20, for every type."""
    return float(np.clip(rng.lognormal(np.log(20), 0.55), MIN_DIAMETER_MM, MAX_DIAMETER_MM))


def draw_number(rng: np.random.Generator, most: int) -> int:
    """Draw the number of lesions of a patient: often one, at most ``most``."""
    return int(min(rng.geometric(0.45), most))


def draw_forms(
    rng: np.random.Generator, number: int, inside_mm: np.ndarray, depth_mm: np.ndarray
) -> tuple[Form, ...]:
    """Draw lesions that lie in the liver and do not touch each other; fewer if there is no room.

    Lesions may touch the capsule: the centre lies at least 0.45 radii deep.

    Args:
      inside_mm: float [points, 3], points inside the liver; centres are chosen from them.
      depth_mm: float [points], depth of each point below the liver's surface.
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
            far = all(
                np.linalg.norm(centre - f.centre_mm) > 1.1 * (radii.max() + f.radii_mm.max()) + 3
                for f in forms
            )
            if far and depth_mm[i] > 0.45 * diameter / 2 + 1:
                forms.append(Form(centre, radii, axes.astype(np.float32), roughness, surface))
                break
    return tuple(forms)


def draw_look(rng: np.random.Generator, kind: str, tissues: Tissues, diameter_mm: float) -> Look:
    """Draw the appearance of a lesion type in this patient; one lesion in seven is atypical."""
    if kind not in _DRAW_LOOK:
        raise ValueError(f"expected a lesion kind of {tuple(_DRAW_LOOK)}; got {kind!r}")
    atypical = rng.random() < 0.15
    return _DRAW_LOOK[kind](rng, tissues, diameter_mm, atypical)


def _hypodense(rng: np.random.Generator, tissues: Tissues, diameter_mm: float, _: bool) -> Look:
    """The untyped lesions of the LiTS-like volumes."""
    contrast = rng.uniform(10, 70)
    return Look(
        "hypodense",
        hu=max(tissues.liver - contrast, 0.0),
        edge_mm=float(rng.uniform(0.8, 7)),
        texture=Ripple.draw(rng, 8, 5, 16),
        texture_hu=float(rng.uniform(0, 9)),
        core_hu=float(rng.uniform(-25, 0)),
        core_share=float(rng.choice([0.0, rng.uniform(0.3, 0.7)])),
    )


def _cyst(rng: np.random.Generator, tissues: Tissues, diameter_mm: float, atypical: bool) -> Look:
    return Look(
        "cyst",
        hu=float(rng.uniform(18, 42) if atypical else rng.uniform(0, 20)),
        edge_mm=float(rng.uniform(0.8, 1.6)),
        texture=Ripple.draw(rng, 4, 12, 30),
        texture_hu=0.8,
    )


def _hemangioma(
    rng: np.random.Generator, tissues: Tissues, diameter_mm: float, atypical: bool
) -> Look:
    filling = rng.uniform(0.08, 0.2) if atypical else rng.uniform(0.25, 1.25)
    radius = diameter_mm / 2
    return Look(
        "hemangioma",
        hu=clipped_normal(rng, 48 + 8 * tissues.phase, 7, 30, 75),
        edge_mm=float(rng.uniform(0.8, 2.5)),
        texture=Ripple.draw(rng, 12, max(0.55 * radius, 5), max(1.5 * radius, 11)),
        texture_hu=0.0,
        filling=float(filling),
        nodule_hu=tissues.blood - float(rng.uniform(0, 14)),
    )


def _metastasis(
    rng: np.random.Generator, tissues: Tissues, diameter_mm: float, atypical: bool
) -> Look:
    contrast = rng.uniform(30, 80)
    if atypical:
        # Half of them are faint, half so necrotic that they resemble cysts.
        contrast = rng.choice([rng.uniform(14, 30), rng.uniform(80, 120)])
    pattern = rng.choice(["plain", "core", "ring"], p=[0.45, 0.3, 0.25])
    return Look(
        "metastasis",
        hu=float(max(tissues.liver - contrast, 22.0)),
        edge_mm=float(rng.uniform(2.5, 7)),
        texture=Ripple.draw(rng, 10, 4, 14),
        texture_hu=float(rng.uniform(4, 11)),
        core_hu=-float(rng.uniform(12, 32)) if pattern == "core" else 0.0,
        core_share=float(rng.uniform(0.4, 0.75)) if pattern == "core" else 0.0,
        rim_hu=float(rng.uniform(12, 30)) if pattern == "ring" else 0.0,
    )


#: By lesion type; ``hypodense`` is that of the LiTS-like volumes.
_DRAW_LOOK = {
    "hypodense": _hypodense,
    "cyst": _cyst,
    "hemangioma": _hemangioma,
    "metastasis": _metastasis,
}

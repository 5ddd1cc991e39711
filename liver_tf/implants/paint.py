"""Paints lesions of the phantom's models into a real scan.

A lesion replaces the smooth part of the liver below it. What is left of the scan there, its noise,
stays where it is, so texture and streaks run through the lesion as through everything else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from liver_tf.implants.host import Host
from liver_tf.labels import LIVER
from liver_tf.phantom.lesions import Form, Look, PhantomLesion, draw_forms, draw_look
from liver_tf.phantom.random_streams import stream
from liver_tf.phantom.shapes import smoothstep

#: Scale in the plane above which structures belong to the liver, not to the noise, in mm.
NOISE_MM = 2.0
#: SD of the point spread in the plane, in mm.
BLUR_MM = 0.6
#: The residue of a small vessel exceeds this many SDs of the noise; noise hardly does.
NOISE_LIMIT_SD = 2.2
#: Lesions drawn for each that is wanted: large ones often find no room.
TRIES = 3
#: A lesion changes the HU of its voxels by this in the mean; looks that do not are drawn again.
LEAST_CONTRAST_HU, LOOKS = 12.0, 8
#: Compressed shell around a lesion with mass effect, in radii, and how far its inner edge moves.
SHELL, PUSH = 0.9, 0.35


Points = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class ImplantedLesion:
    """A lesion and where it was painted.

    Attributes:
      window: The part of the scan around the lesion.
      mask: bool, the voxels of the lesion in the window.
    """

    kind: str
    form: Form
    look: Look
    window: tuple[slice, ...]
    mask: np.ndarray


def implant(
    host: Host,
    seed: int,
    name: int | str,
    *,
    kinds: Sequence[str],
    number: int,
    near_vessels: bool = False,
    mass_effect: bool = False,
) -> tuple[np.ndarray, list[ImplantedLesion]]:
    """Paint lesions; fewer than ``number``, also none, if the liver has no room.

    Args:
      name: Of the host, for the random numbers.
      kinds: Of ``draw_look``; one is drawn for each lesion.
      near_vessels: Lesions may lie on vessels.
      mass_effect: Lesions push the tissue around them aside.

    Returns:
      HU like ``host.hu``, changed near the lesions only; and the lesions.
    """
    rng = stream(seed, "implant", name)
    forms = draw_forms(
        *(rng, TRIES * number, host.points_mm(host.liver), host.depth_mm[host.liver]),
        lambda point: np.inf if near_vessels else float(host.to_vessel_mm[host.index_of(point)]),
    )[:number]
    hu = host.hu.astype(np.float32)
    lesions = []
    for form in forms:
        kind = str(rng.choice(list(kinds)))
        tissues = host.tissues_near(form.centre_mm)
        for _ in range(LOOKS):
            look = draw_look(rng, kind, tissues, 2 * form.mean_radius_mm)
            patch = _paint(hu, host, PhantomLesion(form, look), mass_effect)
            contrast = np.abs(patch.hu - hu[patch.window])[patch.lesion]
            if contrast.size and contrast.mean() >= LEAST_CONTRAST_HU:
                hu[patch.window] = patch.hu
                lesions.append(ImplantedLesion(kind, form, look, patch.window, patch.lesion))
                break
    if host.hu.dtype.kind == "i":
        limits = np.iinfo(host.hu.dtype)
        hu = np.clip(np.rint(hu), limits.min, limits.max)
    return hu.astype(host.hu.dtype), lesions


def with_lesions(labels: np.ndarray, lesions: Sequence[ImplantedLesion], label: int) -> np.ndarray:
    """A copy of the labels in which the voxels of the lesions are ``label``."""
    labels = labels.copy()
    for each in lesions:
        labels[each.window][each.mask] = label
    return labels


class _Patch(NamedTuple):
    """HU of a painted window, and the voxels of the lesion in it."""

    window: tuple[slice, ...]
    hu: np.ndarray
    lesion: np.ndarray


def _paint(hu: np.ndarray, host: Host, lesion: PhantomLesion, mass_effect: bool) -> _Patch:
    form, spacing = lesion.form, np.array(host.spacing_mm)
    window, (z, y, x) = _window(host, form, SHELL * form.mean_radius_mm * mass_effect)
    liver = (host.labels[window] == LIVER).astype(np.float32)
    in_plane = (0, *(NOISE_MM / spacing[1:]))
    weight = ndimage.gaussian_filter(liver, in_plane)
    smooth = ndimage.gaussian_filter(hu[window] * liver, in_plane) / np.maximum(weight, 1e-3)
    smooth = np.where(liver > 0, smooth, hu[window])
    noise = hu[window] - smooth
    if mass_effect:
        smooth = _pushed(smooth, form, (z, y, x), spacing, liver)
    cover, painted = _mean_over_thickness(lesion, (z, y, x), host.spacing_mm)
    inside = np.clip(2 * ndimage.gaussian_filter(liver, (0, *(1 / spacing[1:]))) - 0.5, 0, 1)
    blur = (0, *(BLUR_MM / spacing[1:]))
    cover = ndimage.gaussian_filter(cover, blur) * inside
    painted = ndimage.gaussian_filter(painted, blur) * inside
    limit = NOISE_LIMIT_SD * host.noise_hu
    noise -= cover * (noise - np.clip(noise, -limit, limit))
    labelled = (form.distance(x, y, z) < 0) & (liver > 0)
    return _Patch(window, smooth * (1 - cover) + painted + noise, labelled)


def _window(host: Host, form: Form, more_mm: float) -> tuple[tuple[slice, ...], Points]:
    """The part of the scan around a lesion, and its (z, y, x) in mm, broadcastable."""
    centre, reach = form.centre_mm[::-1], form.reach_mm + more_mm + 3 * NOISE_MM
    first = np.maximum(np.floor((centre - reach) / host.spacing_mm).astype(int), 0)
    after = np.ceil((centre + reach) / host.spacing_mm).astype(int) + 1
    after = np.minimum(after, host.hu.shape)
    parts = list(zip(first.tolist(), after.tolist(), host.spacing_mm, strict=True))
    axes = [(np.arange(a, b) * mm).astype(np.float32) for a, b, mm in parts]
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    return tuple(slice(a, b) for a, b, _ in parts), (z, y, x)


def _mean_over_thickness(
    lesion: PhantomLesion, points: Points, spacing_mm: tuple[float, float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Cover of each voxel by the lesion, 0 to 1, and cover times HU; means over the thickness."""
    z, y, x = points
    edge = max(lesion.look.edge_mm, spacing_mm[1])
    planes = []
    for offset in (-1 / 3, 0.0, 1 / 3):
        at = x, y, z + np.float32(offset * spacing_mm[0])
        distance = lesion.form.distance(*at)
        cover = smoothstep(0.5 - distance / np.float32(edge))
        planes.append((cover, cover * lesion.attenuation(*at, distance)))
    cover, painted = np.mean(planes, axis=0)
    return cover, painted


def _pushed(
    smooth: np.ndarray,
    form: Form,
    points: Points,
    spacing: np.ndarray,
    liver: np.ndarray,
) -> np.ndarray:
    """The smooth image with the tissue around the lesion compressed into a shell, in the liver."""
    z, y, x = points
    radius = form.mean_radius_mm
    beyond = np.clip(form.distance(x, y, z) / np.float32(SHELL * radius), 0, 1)
    offsets = [axis - np.float32(c) for axis, c in zip(points, form.centre_mm[::-1], strict=True)]
    length = np.sqrt(sum(offset**2 for offset in offsets)) + np.float32(1e-3)
    inwards = np.float32(PUSH * radius) * (1 - beyond) ** 2 / np.maximum(length, radius)
    places = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in smooth.shape), indexing="ij")
    moved = [
        place - inwards * offset / np.float32(mm)
        for place, offset, mm in zip(places, offsets, spacing, strict=True)
    ]
    pushed = ndimage.map_coordinates(smooth, moved, order=1, mode="nearest")
    return np.where((liver > 0) & (beyond < 1), pushed, smooth)

"""Paints lesions of the phantom's models into a real scan.

A lesion replaces the smooth part of the liver below it. What is left of the scan there, its noise,
stays where it is, so texture and streaks run through the lesion as through everything else. If it
still shows fine vessels, noise of a place nearby is used.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from liver_tf.implants.host import Host
from liver_tf.labels import LIVER, LabelSet
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
#: If noise at this distance has traces of vessels that are weaker by this factor, at this scale,
#: the lesion gets that noise.
SHIFT_MM, QUIETER, FINE_MM = 28.0, 0.85, 1.0
#: A lesion has this many voxels, and changes their HU by this in the mean; looks that do not are
#: drawn again.
LEAST_VOXELS, LEAST_CONTRAST_HU, LOOKS = 10, 12.0, 8
#: Compressed shell around a lesion with mass effect, in radii, and how far its inner edge moves.
SHELL, PUSH = 0.9, 0.35


Points = tuple[np.ndarray, np.ndarray, np.ndarray]
Window = tuple[slice, ...]


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
    window: Window
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
        tissues, ground = host.tissues_near(form.centre_mm), _ground(hu, host, form, mass_effect)
        for _ in range(LOOKS):
            look = draw_look(rng, kind, tissues, 2 * form.mean_radius_mm)
            painted, change = _painted(ground, host, PhantomLesion(form, look))
            change = change[ground.lesion]
            if change.size >= LEAST_VOXELS and np.abs(change).mean() >= LEAST_CONTRAST_HU:
                hu[ground.window] = painted
                lesions.append(ImplantedLesion(kind, form, look, ground.window, ground.lesion))
                break
    if host.hu.dtype.kind == "i":
        limits = np.iinfo(host.hu.dtype)
        hu = np.clip(np.rint(hu), limits.min, limits.max)
    return hu.astype(host.hu.dtype), lesions


def with_lesions(
    labels: np.ndarray, lesions: Sequence[ImplantedLesion], label_set: LabelSet
) -> np.ndarray:
    """A copy of the labels with the lesions, by type if the label set has types."""
    labels = labels.copy()
    for each in lesions:
        name = each.kind if label_set.has_types else "lesion"
        labels[each.window][each.mask] = label_set.index(name)
    return labels


class _Ground(NamedTuple):
    """The scan around a lesion, [slices, rows, columns] of a window.

    Attributes:
      points: (z, y, x) in mm, broadcastable.
      inside: 0 to 1, the liver with soft borders.
      smooth, noise: HU of structures, and the rest; their sum is the scan without mass effect.
      quiet: Noise for the lesion, with fewer traces of vessels; None for its own.
      lesion: bool, voxels of the lesion.
    """

    window: Window
    points: Points
    inside: np.ndarray
    smooth: np.ndarray
    noise: np.ndarray
    quiet: np.ndarray | None
    lesion: np.ndarray


def _ground(hu: np.ndarray, host: Host, form: Form, mass_effect: bool) -> _Ground:
    spacing = np.array(host.spacing_mm)
    window, (z, y, x) = _window(host, form, SHELL * form.mean_radius_mm * mass_effect)
    around, place = _around(window, np.ceil(SHIFT_MM / spacing).astype(int), hu.shape)
    liver = (host.labels[around] == LIVER).astype(np.float32)
    in_plane = (0, *(NOISE_MM / spacing[1:]))
    weight = ndimage.gaussian_filter(liver, in_plane)
    smooth = ndimage.gaussian_filter(hu[around] * liver, in_plane) / np.maximum(weight, 1e-3)
    smooth = np.where(liver > 0, smooth, hu[around])
    noise = hu[around] - smooth
    lesion = (form.distance(x, y, z) < 0) & (liver[place] > 0)
    quieter = _quieter_place(noise, liver > 0, place, lesion, spacing)
    quiet = None if quieter is None else noise[quieter]
    inside = ndimage.gaussian_filter(liver, (0, *(1 / spacing[1:])))[place]
    smooth, liver = smooth[place], liver[place]
    if mass_effect:
        smooth = _pushed(smooth, form, (z, y, x), spacing, liver)
    inside = np.clip(2 * inside - 0.5, 0, 1)
    return _Ground(window, (z, y, x), inside, smooth, noise[place], quiet, lesion)


def _painted(ground: _Ground, host: Host, lesion: PhantomLesion) -> tuple[np.ndarray, np.ndarray]:
    """HU of the window with the lesion, and the change of HU without noise."""
    cover, painted = _mean_over_thickness(lesion, ground.points, host.spacing_mm)
    blur = (0, *(BLUR_MM / np.array(host.spacing_mm)[1:]))
    cover = ndimage.gaussian_filter(cover, blur) * ground.inside
    painted = ndimage.gaussian_filter(painted, blur) * ground.inside
    limit = NOISE_LIMIT_SD * host.noise_hu
    noise = ground.noise
    if ground.quiet is not None:  # both are independent: their squares add up
        noise = np.sqrt(1 - cover) * noise + np.sqrt(cover) * ground.quiet
    noise = noise - cover * (noise - np.clip(noise, -limit, limit))
    change = painted - cover * ground.smooth
    return ground.smooth + change + noise, change


def _quieter_place(
    noise: np.ndarray, liver: np.ndarray, place: Window, lesion: np.ndarray, spacing: np.ndarray
) -> Window | None:
    """Where noise with clearly fewer traces of vessels is taken from, nearby and in the liver."""
    if not lesion.any():
        return None
    fine = ndimage.gaussian_filter(noise, (0, *(FINE_MM / spacing[1:])))
    best, fewest = None, QUIETER * fine[place][lesion].std()
    for direction in range(12):
        for far in (SHIFT_MM / 2, SHIFT_MM):
            angle = direction * np.pi / 6
            rows, columns = np.rint(far / spacing[1:] * (np.sin(angle), np.cos(angle))).astype(int)
            other = (place[0], _moved(place[1], int(rows)), _moved(place[2], int(columns)))
            if min(part.start for part in other) < 0 or liver[other].shape != lesion.shape:
                continue
            traces = fine[other][lesion].std()
            if traces < fewest and liver[other][lesion].all():
                best, fewest = other, traces
    return best


def _moved(part: slice, by: int) -> slice:
    return slice(part.start + by, part.stop + by)


def _around(window: Window, more: np.ndarray, shape: tuple[int, ...]) -> tuple[Window, Window]:
    """A window extended in the plane, within the scan, and the place of the window in it."""
    first = [max(0, part.start - n) for part, n in zip(window, (0, *more[1:]), strict=True)]
    after = [part.stop + n for part, n in zip(window, (0, *more[1:]), strict=True)]
    around = tuple(slice(a, min(b, n)) for a, b, n in zip(first, after, shape, strict=True))
    return around, tuple(_moved(part, -a) for part, a in zip(window, first, strict=True))


def _window(host: Host, form: Form, more_mm: float) -> tuple[Window, Points]:
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

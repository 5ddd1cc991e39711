"""Implicit surfaces: signed distances of points to shapes.

Coordinates are in mm (x to the patient's left, y to the back, z to the head), as broadcastable
arrays or numbers. Distances are in mm, negative inside, exact near the surface only.
"""

from dataclasses import dataclass

import numpy as np

Array = np.ndarray


def ellipsoid(x: Array, y: Array, z: Array, centre_mm, radii_mm) -> Array:
    """Distance to an axis-aligned ellipsoid."""
    a, b, c = (np.float32(r) for r in radii_mm)
    dx = x - np.float32(centre_mm[0])
    dy = y - np.float32(centre_mm[1])
    dz = z - np.float32(centre_mm[2])
    dx, dy, dz = dx / a, dy / b, dz / c
    k0 = np.sqrt(dx * dx + dy * dy + dz * dz)
    k1 = np.sqrt((dx / a) ** 2 + (dy / b) ** 2 + (dz / c) ** 2)
    return k0 * (k0 - 1) / np.maximum(k1, np.float32(1e-6))


def ellipse(x: Array, y: Array, centre_mm, radii_mm) -> Array:
    """Distance to a cylinder along z with an elliptic cross-section."""
    a, b = (np.float32(r) for r in radii_mm)
    dx, dy = (x - np.float32(centre_mm[0])) / a, (y - np.float32(centre_mm[1])) / b
    k0 = np.sqrt(dx * dx + dy * dy)
    k1 = np.sqrt((dx / a) ** 2 + (dy / b) ** 2)
    return k0 * (k0 - 1) / np.maximum(k1, np.float32(1e-6))


def capsule(x: Array, y: Array, z: Array, start_mm, end_mm, r0_mm: float, r1_mm: float) -> Array:
    """Distance to a round rod between two points whose radius changes linearly."""
    start = np.asarray(start_mm, np.float32)
    axis = np.asarray(end_mm, np.float32) - start
    length2 = np.float32(max(float(axis @ axis), 1e-6))
    px, py, pz = x - start[0], y - start[1], z - start[2]
    t = np.clip((px * axis[0] + py * axis[1] + pz * axis[2]) / length2, 0, 1)
    dx, dy, dz = px - t * axis[0], py - t * axis[1], pz - t * axis[2]
    radius = np.float32(r0_mm) + t * np.float32(r1_mm - r0_mm)
    return np.sqrt(dx * dx + dy * dy + dz * dz) - radius


def tube(x: Array, y: Array, z: Array, points_mm, radii_mm, blend_mm: float) -> Array:
    """Distance to a bent tube through several points."""
    distance = None
    for i in range(len(points_mm) - 1):
        part = capsule(x, y, z, points_mm[i], points_mm[i + 1], radii_mm[i], radii_mm[i + 1])
        distance = part if distance is None else union(distance, part, blend_mm)
    return distance


def union(a: Array, b: Array, blend_mm: float) -> Array:
    """Union of two shapes, the seam rounded over ``blend_mm``."""
    h = np.maximum(np.float32(blend_mm) - np.abs(a - b), 0)
    return np.minimum(a, b) - h * h * np.float32(0.25 / blend_mm)


def intersection(a: Array, b: Array, blend_mm: float) -> Array:
    """Intersection of two shapes, the edge rounded over ``blend_mm``."""
    h = np.maximum(np.float32(blend_mm) - np.abs(a - b), 0)
    return np.maximum(a, b) + h * h * np.float32(0.25 / blend_mm)


def smoothstep(t: Array) -> Array:
    """Smooth step: 0 for t <= 0, 1 for t >= 1."""
    t = np.clip(t, 0, 1)
    return t * t * (3 - 2 * t)


@dataclass(frozen=True)
class Ripple:
    """A smooth random function of space: a sum of plane waves, mean 0 and SD about 1.

    Attributes:
      waves: float32 [modes, 4]: wave vector (x, y, z) in radians per mm, and phase in radians.
    """

    waves: np.ndarray

    @classmethod
    def draw(
        cls, rng: np.random.Generator, modes: int, shortest_mm: float, longest_mm: float
    ) -> "Ripple":
        """Draw waves of random direction with wavelengths in the given range."""
        direction = rng.normal(size=(modes, 3))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        length = rng.uniform(shortest_mm, longest_mm, size=(modes, 1))
        phase = rng.uniform(0, 2 * np.pi, size=(modes, 1))
        return cls(np.hstack([2 * np.pi * direction / length, phase]).astype(np.float32))

    def __call__(self, x: Array, y: Array, z: Array | np.floating) -> Array:
        total = np.zeros(np.broadcast_shapes(np.shape(x), np.shape(y), np.shape(z)), np.float32)
        for kx, ky, kz, phase in self.waves:
            total += np.sin(kx * x + ky * y + (kz * z + phase))
        return total * np.float32(np.sqrt(2 / len(self.waves)))

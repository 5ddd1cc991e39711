"""The host of implanted lesions: liver, vessels and noise of a real scan, on a coarse grid."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from liver_tf.ct.hu_plausibility import labelled_box
from liver_tf.labels import LIVER
from liver_tf.phantom.tissues import Tissues

#: Voxels of the coarse grid, in mm, in the plane of the slices.
_COARSE_MM = 1.5
#: Scales at which the liver's even background and its vessels are smoothed: finer vessels are not
#: found, and a lesion replaces them.
_BACKGROUND_MM, _VESSEL_MM = 12.0, 2.2
#: Least contrast of a vessel in HU and in SDs of the smoothed liver, and smallest volume in mm³.
_LEAST_CONTRAST_HU, _CONTRAST_SD, _LEAST_MM3 = 12.0, 2.5, 300.0
#: Below the surface, the border darkens voxels up to this depth.
_CAPSULE_MM = 4.0
#: Liver HU are measured within this distance of a lesion.
_NEAR_MM = 25.0


@dataclass(frozen=True)
class Host:
    """A scan in which lesions are painted.

    Attributes:
      hu: [slices, rows, columns], canonical.
      labels: uint8 of the same shape: background, liver, lesions of the patient.
      spacing_mm: Along (slices, rows, columns).
    """

    hu: np.ndarray
    labels: np.ndarray
    spacing_mm: tuple[float, float, float]

    @cached_property
    def _steps(self) -> tuple[int, int, int]:
        rows, columns = (max(1, round(_COARSE_MM / mm)) for mm in self.spacing_mm[1:])
        return 1, rows, columns

    @cached_property
    def coarse_mm(self) -> np.ndarray:
        """Spacing of the coarse grid, float64 [3]."""
        return np.multiply(self._steps, self.spacing_mm)

    @cached_property
    def box(self) -> tuple[slice, ...]:
        """The part of the scan with liver."""
        box = labelled_box(self.labels)
        if box is None:
            raise ValueError("labels: expected a liver, found background only")
        return box

    @cached_property
    def corner_mm(self) -> np.ndarray:
        """Position of the coarse grid's first voxel, (slice, row, column) in mm."""
        first = [part.start for part in self.box]
        middle = (np.array(self._steps) - 1) / 2
        return (first + middle) * self.spacing_mm

    def _coarse(self, volume: np.ndarray) -> np.ndarray:
        """Block means inside the box, float32."""
        _, down, across = self._steps
        part = volume[self.box]
        rows, columns = part.shape[1] // down * down, part.shape[2] // across * across
        part = part[:, :rows, :columns].astype(np.float32)
        return part.reshape(len(part), rows // down, down, columns // across, across).mean((2, 4))

    @cached_property
    def liver(self) -> np.ndarray:
        """Liver without the patient's lesions, bool on the coarse grid."""
        return self._coarse(self.labels == LIVER) > 0.5

    @cached_property
    def _smooth(self) -> np.ndarray:
        return _smooth_inside(self._coarse(self.hu), self.liver, _VESSEL_MM / self.coarse_mm)

    @cached_property
    def _contrast(self) -> np.ndarray:
        return self._smooth - _smooth_inside(
            self._smooth, self.liver, _BACKGROUND_MM / self.coarse_mm
        )

    @cached_property
    def _blood_hu(self) -> float:
        """HU in the middle of bright vessels; that of the liver if there are none."""
        bright = self._smooth[self.vessels & (self._contrast > 0)]
        return float(
            np.quantile(bright, 0.8) if bright.size else np.median(self._smooth[self.liver])
        )

    @cached_property
    def vessels(self) -> np.ndarray:
        """Bright or dark structures of the liver, bool on the coarse grid.

        Everything that differs from the even background is taken for a vessel, except single spots:
        clefts and ligaments, too, hold no lesion.
        """
        deep = self.depth_mm > _CAPSULE_MM
        contrast = self._contrast
        sd = 1.4826 * np.median(np.abs(contrast[deep] - np.median(contrast[deep])))
        marked = deep & (np.abs(contrast) > max(_LEAST_CONTRAST_HU, _CONTRAST_SD * sd))
        names, count = ndimage.label(marked, np.ones((3, 3, 3)))
        sizes = np.bincount(names.ravel(), minlength=count + 1) * self.coarse_mm.prod()
        sizes[0] = 0
        return (sizes >= _LEAST_MM3)[names]

    @cached_property
    def depth_mm(self) -> np.ndarray:
        """Depth below the surface of the liver, 0 outside, on the coarse grid."""
        padded = np.pad(self.liver, 1)
        return ndimage.distance_transform_edt(padded, self.coarse_mm)[1:-1, 1:-1, 1:-1]

    @cached_property
    def to_vessel_mm(self) -> np.ndarray:
        """Distance to the nearest vessel, on the coarse grid."""
        if not self.vessels.any():
            return np.full(self.vessels.shape, np.inf)
        return ndimage.distance_transform_edt(~self.vessels, self.coarse_mm)

    def index_of(self, point_mm: np.ndarray) -> tuple[int, ...]:
        """Coarse voxel of a point (x, y, z) in mm: column, row and slice direction."""
        place = (np.asarray(point_mm)[::-1] - self.corner_mm) / self.coarse_mm
        last = np.array(self.liver.shape) - 1
        return tuple(np.clip(np.rint(place), 0, last).astype(int))

    def points_mm(self, where: np.ndarray) -> np.ndarray:
        """Points (x, y, z) in mm of the coarse voxels in a mask, float [points, 3]."""
        return (np.argwhere(where) * self.coarse_mm + self.corner_mm)[:, ::-1]

    @cached_property
    def noise_hu(self) -> float:
        """SD of voxels around their neighbourhood in the liver, robust against vessels."""
        middle = self.hu[self.box][len(self.hu[self.box]) // 2].astype(np.float32)
        inside = self.labels[self.box][len(self.hu[self.box]) // 2] == LIVER
        residual = (middle - ndimage.gaussian_filter(middle, 2))[ndimage.binary_erosion(inside)]
        return float(1.4826 * np.median(np.abs(residual))) if residual.size else 0.0

    def tissues_near(self, point_mm: np.ndarray) -> Tissues:
        """Liver HU around a point (x, y, z), and the blood of this scan."""
        place = self.index_of(point_mm)
        reach = np.ceil(_NEAR_MM / self.coarse_mm).astype(int)
        near = tuple(slice(max(0, i - r), i + r + 1) for i, r in zip(place, reach, strict=True))
        usual = self.liver & ~self.vessels
        chosen = usual[near] if usual[near].any() else usual
        values = self._smooth[near] if usual[near].any() else self._smooth
        liver = float(np.median(values[chosen]))
        phase = float(np.clip((self._blood_hu - 45) / 120, 0, 1.6))
        return Tissues(phase, 56 + 63 * phase - liver, lowest_liver_hu=-1000.0)


def _smooth_inside(volume: np.ndarray, inside: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Gaussian mean over the voxels of a mask only."""
    weight = ndimage.gaussian_filter(inside.astype(np.float32), sigma, truncate=3)
    total = ndimage.gaussian_filter(np.where(inside, volume, 0), sigma, truncate=3)
    return total / np.maximum(weight, 1e-3)

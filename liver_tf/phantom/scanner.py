"""The scanner: from anatomy to an image with slice thickness, blur, noise and field of view."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy import fft, ndimage

from liver_tf.phantom.anatomy import Patient
from liver_tf.phantom.lesions import PhantomLesion
from liver_tf.phantom.plane import Plane, Window
from liver_tf.phantom.random_streams import clipped_normal
from liver_tf.phantom.tissue_codes import Tissue, with_labels
from liver_tf.phantom.tissues import AIR_HU

FULL_MATRIX = 512
HU_LOW, HU_HIGH = -1024, 3071


@dataclass(frozen=True)
class Scanner:
    """Settings of one scan.

    Attributes:
      field_mm: side of the square field of view.
      centre_mm: offset of the patient's axis from the field's centre, to the right and downwards.
      noise_hu: SD of the noise in the centre of the body at 512 x 512.
      cutoff_per_mm: spatial frequency above which the kernel suppresses noise.
      ramp: exponent with which the noise amplitude rises with frequency.
      streakiness: excess of horizontal over vertical streaks in the noise.
      blur_mm: SD of the point spread function.
      table: whether the table is visible.
    """

    field_mm: float
    centre_mm: tuple[float, float]
    noise_hu: float
    cutoff_per_mm: float
    ramp: float
    streakiness: float
    blur_mm: float
    thickness_mm: float
    table: bool

    @classmethod
    def draw(cls, rng: np.random.Generator, patient: Patient, thickness_mm: float) -> "Scanner":
        """Draw settings for a patient; larger bodies get a larger field of view and more noise."""
        width = 2 * patient.half_width_mm
        pixel = np.clip(width * rng.uniform(1.08, 1.3) / FULL_MATRIX, 0.65, 0.85)
        size = np.sqrt(patient.half_width_mm * patient.half_depth_mm) / 130
        noise = rng.lognormal(np.log(17), 0.42) * size**1.5
        return cls(
            field_mm=float(pixel * FULL_MATRIX),
            centre_mm=(clipped_normal(rng, 0, 6, -12, 12), clipped_normal(rng, 5, 10, -15, 25)),
            noise_hu=float(np.clip(noise, 6, 32)),
            cutoff_per_mm=float(rng.uniform(0.32, 0.75)),
            ramp=float(rng.uniform(0.1, 0.6)),
            streakiness=float(rng.uniform(0.1, 1.6)),
            blur_mm=float(rng.uniform(0.45, 0.85)),
            thickness_mm=thickness_mm,
            table=bool(rng.random() < 0.8),
        )

    @classmethod
    def draw_varied(
        cls, rng: np.random.Generator, patient: Patient, thickness_mm: float
    ) -> "Scanner":
        """Draw settings with fields of view that may cut the body, and less usual noise."""
        usual = cls.draw(rng, patient, thickness_mm)
        pixel = np.clip(2 * patient.half_width_mm * rng.uniform(0.94, 1.2) / FULL_MATRIX, 0.5, 1.2)
        return replace(
            usual,
            field_mm=float(pixel * FULL_MATRIX),
            centre_mm=tuple(rng.normal(0, 14, 2).clip(-40, 40).tolist()),
            noise_hu=float(np.clip(usual.noise_hu * rng.uniform(0.4, 1.6), 3, 40)),
        )

    def pixel_mm(self, matrix: int) -> float:
        return self.field_mm / matrix

    def axes_mm(self, matrix: int) -> tuple[np.ndarray, np.ndarray]:
        """Pixel centres of columns (to the left) and rows (to the back) from the patient's axis."""
        centres = (np.arange(matrix) - (matrix - 1) / 2) * self.pixel_mm(matrix)
        return centres - self.centre_mm[0], centres - self.centre_mm[1]

    def take(
        self,
        rng: np.random.Generator,
        patient: Patient,
        lesions: tuple[PhantomLesion, ...],
        z_mm: float,
        matrix: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Image a slice.

        Returns:
          int16 [rows, columns] HU and uint8 [rows, columns] labels (0 background, 1 liver,
          2 lesion), rows from front to back, columns from the patient's right to the left.
        """
        clean, labels, depth_mm = self._clean(patient, lesions, z_mm, matrix)
        clean = ndimage.gaussian_filter(clean, self.blur_mm / self.pixel_mm(matrix), truncate=3)
        # Rays through the centre are attenuated most; the surrounding air gets little noise.
        strength = np.where(depth_mm > 0, 0.62 + 0.45 * np.clip(depth_mm / 75, 0, 1), 0.4)
        noisy = clean + self.noise_hu * strength * self.noise(rng, matrix)
        hu = np.clip(np.rint(noisy), HU_LOW, HU_HIGH).astype(np.int16)
        return hu, labels

    def tissues(
        self,
        patient: Patient,
        lesions: tuple[PhantomLesion, ...],
        z_mm: float,
        matrix: int,
    ) -> np.ndarray:
        """Tissue map of the slice that ``take`` images, at its middle: uint8 [rows, columns].

        ``labels_of_codes`` gives the labels of ``take``.
        """
        x_mm, y_mm = self.axes_mm(matrix)
        rows, columns = self._body_of(patient, x_mm, y_mm)
        plane = patient.plane(x_mm[columns], y_mm[rows], z_mm, self.pixel_mm(matrix))
        plane.tissues = np.full(plane.x.shape, Tissue.AIR, np.uint8)
        _, liver = patient.paint(plane, lesions)
        codes = np.full((matrix, matrix), Tissue.AIR, np.uint8)
        codes[rows, columns] = with_labels(plane.tissues, label(plane, liver, lesions))
        if self.table:
            image = np.where(codes == Tissue.AIR, AIR_HU, 0).astype(np.float32)
            add_table(image, x_mm, y_mm, patient.half_depth_mm, self.pixel_mm(matrix))
            codes[(codes == Tissue.AIR) & (image > -500)] = Tissue.TABLE
        return codes

    def _body_of(self, patient: Patient, x_mm: np.ndarray, y_mm: np.ndarray) -> Window:
        """Rows and columns that contain the body."""
        columns = _span(x_mm, patient.half_width_mm + 12)
        return _span(y_mm, patient.half_depth_mm + 12), columns

    def _clean(
        self, patient: Patient, lesions: tuple[PhantomLesion, ...], z_mm: float, matrix: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean HU of three planes across the slice thickness, and labels of the middle plane."""
        x_mm, y_mm = self.axes_mm(matrix)
        rows, columns = self._body_of(patient, x_mm, y_mm)
        hu = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.float32)
        labels = np.zeros((matrix, matrix), np.uint8)
        depth = np.full((matrix, matrix), -50, np.float32)
        for offset in (-1 / 3, 0.0, 1 / 3):
            z = z_mm + offset * self.thickness_mm
            plane = patient.plane(x_mm[columns], y_mm[rows], z, self.pixel_mm(matrix))
            wall, liver = patient.paint(plane, lesions)
            hu += plane.hu / 3
            if offset == 0:
                labels[rows, columns] = label(plane, liver, lesions)
                depth[rows, columns] = patient.body.fat_mm - wall
        image = np.full((matrix, matrix), AIR_HU, np.float32)
        image[rows, columns] = hu
        if self.table:
            add_table(image, x_mm, y_mm, patient.half_depth_mm, self.pixel_mm(matrix))
        return image, labels, depth

    def noise(self, rng: np.random.Generator, matrix: int) -> np.ndarray:
        """Noise of SD 1 at 512 x 512, less at coarser matrices: float32 [matrix, matrix].

        A coarser matrix has the same spectrum in mm, truncated at its highest frequency.
        """
        key = (self.field_mm, self.cutoff_per_mm, self.ramp, self.streakiness)
        amplitude, gain = _amplitude(matrix, *key)
        white = fft.rfft2(rng.standard_normal((matrix, matrix), np.float32))
        return fft.irfft2(white * amplitude, s=(matrix, matrix)) * gain


def label(plane: Plane, liver_mm: np.ndarray, lesions: tuple[PhantomLesion, ...]) -> np.ndarray:
    """uint8 labels of a plane: 0 background, 1 liver, 2 lesion (inside the liver only)."""
    labels = (liver_mm < 0).astype(np.uint8)
    for lesion in lesions:
        window = plane.around(lesion.form.centre_mm, (lesion.form.reach_mm,) * 3)
        if window:
            inside = lesion.form.distance(*plane.points(window)) < 0
            labels[window][inside & (liver_mm[window] < 0)] = 2
    return labels


def add_table(
    hu: np.ndarray, x_mm: np.ndarray, y_mm: np.ndarray, bottom_mm: float, edge_mm: float
) -> None:
    """Draw the curved table into the air below the patient, in place."""
    radius_mm = 420.0
    centre_mm = bottom_mm + 9 - radius_mm
    distance = np.hypot(x_mm[None, :], y_mm[:, None] - centre_mm) - radius_mm
    air = hu < -900
    for offset_mm, shell_hu, half_mm in ((0.0, 80.0, 1.0), (26.0, 20.0, 0.8), (13.0, -965.0, 11)):
        cover = np.clip(0.5 - (np.abs(distance - offset_mm) - half_mm) / edge_mm, 0, 1)
        hu += np.where(air, cover * (shell_hu + 1000), 0).astype(np.float32)


def _span(axis_mm: np.ndarray, reach_mm: float) -> slice:
    inside = np.flatnonzero(np.abs(axis_mm) <= reach_mm)
    return slice(int(inside[0]), int(inside[-1]) + 1)


@lru_cache(maxsize=4)
def _amplitude(
    matrix: int, field_mm: float, cutoff_per_mm: float, ramp: float, streakiness: float
) -> tuple[np.ndarray, np.float32]:
    """Noise amplitude on the grid of ``rfft2``, and the gain for an SD of 1 at 512 x 512."""

    def spectrum(n: int) -> np.ndarray:
        fy = fft.fftfreq(n, field_mm / n)[:, None]
        fx = fft.rfftfreq(n, field_mm / n)[None, :]
        f = np.hypot(fy, fx)
        shape = (f / cutoff_per_mm) ** ramp * np.exp(-((f / cutoff_per_mm) ** 2))
        return shape * (1 + streakiness * (fy / np.maximum(f, 1e-9)) ** 2)

    def power(a: np.ndarray) -> float:
        # Columns between the first and the last represent two frequencies each.
        return float((a**2).sum() * 2 - (a[:, 0] ** 2).sum() - (a[:, -1] ** 2).sum())

    amplitude = spectrum(matrix)
    full = amplitude if matrix == FULL_MATRIX else spectrum(FULL_MATRIX)
    # White noise of SD 1 on n x n points has a mean power of n^2 at each frequency.
    return amplitude.astype(np.float32), np.float32(matrix / np.sqrt(power(full)))

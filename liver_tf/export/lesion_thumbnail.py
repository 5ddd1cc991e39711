"""Small pictures of a lesion or of a scan's most telling slice, with outlines drawn in."""

import io

import numpy as np
from PIL import Image
from scipy import ndimage

from liver_tf import palette
from liver_tf.labels import LIVER, LabelSet
from liver_tf.report.overlays.draw_overlays import WINDOW_HU

_QUALITY = 85


def thumbnail(
    hu: np.ndarray,
    labels: np.ndarray,
    label_set: LabelSet,
    pixel_mm: tuple[float, float] | None,
    side: int,
) -> tuple[bytes, int, int]:
    """A slice or a part of one as a JPEG, with its width and height in pixels.

    Args:
      hu, labels: [rows, columns].
      side: Longer side of the picture in pixels.
    """
    low, high = WINDOW_HU
    grey = ((np.clip(hu, low, high) - low) * (255 / (high - low))).round().astype(np.uint8)
    size_mm = np.multiply(hu.shape, pixel_mm or (1.0, 1.0))
    height, width = np.maximum(1, np.round(size_mm * side / size_mm.max()).astype(int)).tolist()
    image = np.asarray(Image.fromarray(grey).resize((width, height), Image.Resampling.BICUBIC))
    drawn = np.repeat(image[..., None], 3, axis=-1)
    larger = Image.fromarray(labels).resize((width, height), Image.Resampling.NEAREST)
    for label, region in _regions(np.asarray(larger), label_set):
        edge = ndimage.binary_dilation(region) & ~region
        drawn[ndimage.binary_dilation(edge) & ~region] = tuple(bytes.fromhex(palette.HALO[1:]))
        drawn[edge] = tuple(bytes.fromhex(label_set.colour(label)[1:]))
    buffer = io.BytesIO()
    Image.fromarray(drawn).save(buffer, "jpeg", quality=_QUALITY)
    return buffer.getvalue(), width, height


def _regions(labels: np.ndarray, label_set: LabelSet) -> list[tuple[int, np.ndarray]]:
    """The liver with its lesions, then every lesion class that occurs."""
    present = set(np.unique(labels).tolist())
    lesions = [(label, labels == label) for label in label_set.lesion_labels if label in present]
    return [(LIVER, labels >= LIVER), *lesions]


def around(
    box: tuple[int, int, int, int], shape: tuple[int, int], margin: int
) -> tuple[slice, slice]:
    """The square around a box (first row, first column, last row, last column), in the slice."""
    top, left, bottom, right = box
    half = max(bottom - top, right - left) // 2 + margin
    middle = (top + bottom) // 2, (left + right) // 2
    rows, columns = (
        slice(max(0, centre - half), min(size, centre + half + 1))
        for centre, size in zip(middle, shape, strict=True)
    )
    return rows, columns

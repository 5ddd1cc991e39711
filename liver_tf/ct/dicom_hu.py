"""Stored DICOM pixels to HU: padding becomes air, other values are rescaled."""

from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset

from liver_tf.ct.bad_input import bad_input
from liver_tf.ct.dicom_decoding import decode_pixels
from liver_tf.ct.dicom_elements import whole_number
from liver_tf.ct.dicom_slice_header import SliceHeader
from liver_tf.ct.hounsfield import rescale_to_hu
from liver_tf.ct.hu_plausibility import HuHistogram

#: HU of padding outside the field of view.
AIR_HU = -1000

#: A padding value that stands for HU in this range would erase tissue.
_TISSUE_HU = (-500, 1500)


def stored_hu(dataset: FileDataset, header: SliceHeader) -> tuple[np.ndarray, np.ndarray]:
    """HU (int16 if exact, else float32) and padding mask, [rows, columns] as stored."""
    stored = decode_pixels(dataset, header.path, frames=1)[0]
    padding = _padding_mask(dataset, header, stored)
    if padding.any():
        stored = np.where(padding, stored[~padding].min() if not padding.all() else 0, stored)
    # As a single slab: rescaling row by row takes several times as long.
    hu = rescale_to_hu(stored[np.newaxis], header.slope, header.intercept)[0]
    if padding.any():
        hu[padding] = AIR_HU
    return hu, padding


def refuse_implausible(histogram: HuHistogram, path: Path) -> None:
    """Check the HU of all slices, without padding; an image of padding is ``dicom-padding``."""
    if histogram.empty:
        expected = "pixels inside the field of view"
        raise bad_input("dicom-padding", path, expected, "an image of padding only")
    histogram.refuse_implausible(path)


def _padding_mask(dataset: FileDataset, header: SliceHeader, stored: np.ndarray) -> np.ndarray:
    """Pixels outside the field of view (PS3.3 C.7.5.1.1.2)."""
    first = whole_number(dataset, "PixelPaddingValue", header.path)
    if first is None:
        return np.zeros(stored.shape, bool)
    last = whole_number(dataset, "PixelPaddingRangeLimit", header.path)
    limits = [first, first if last is None else last]
    if stored.dtype.kind == "i":
        # Explicit VR files may hold the value as unsigned although the pixels are signed.
        limits = [value - 65536 if value > 32767 else value for value in limits]
    low, high = sorted(limits)
    padding = (stored >= low) & (stored <= high)
    border = sorted(value * header.slope + header.intercept for value in (low, high))
    if padding.any() and border[0] <= _TISSUE_HU[1] and border[1] >= _TISSUE_HU[0]:
        expected = "a PixelPaddingValue outside the HU of tissue"
        found = f"padding pixels that stand for {border[0]:g} to {border[1]:g} HU"
        raise bad_input("dicom-padding", header.path, expected, found)
    return padding

"""Stored DICOM pixels to HU: padding first, then rescale."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pydicom

from liver_tf.ct.dicom_file import decode_pixels, whole_number
from liver_tf.ct.dicom_slice_header import SliceHeader
from liver_tf.ct.hounsfield import rescale_to_hu
from liver_tf.ct.hu_plausibility import refuse_implausible_hu
from liver_tf.refusals import Refusal

#: What padding outside the field of view becomes, HU.
AIR_HU = -1000

#: A padding value that means HU in this range would wipe out tissue.
_TISSUE_HU = (-500, 1500)


def stored_hu(dataset: pydicom.Dataset, header: SliceHeader) -> tuple[np.ndarray, np.ndarray]:
    """HU and padding mask [rows, columns] as stored; int16 where exact, else float32.

    Raises:
      Refusal: as :func:`liver_tf.ct.dicom_file.decode_pixels`, and ``dicom-bits``,
        ``dicom-padding``.
    """
    path = header.path
    stored = decode_pixels(dataset, path, frames=1)[0]
    padding = _padding_mask(dataset, header, stored)
    _refuse_unused_bits(dataset, path, stored)
    if padding.any():
        stored = np.where(padding, stored[~padding].min() if not padding.all() else 0, stored)
    # As one slab: rescaling row by row takes several times as long.
    hu = rescale_to_hu(stored[np.newaxis], header.slope, header.intercept)[0]
    if padding.any():
        hu[padding] = AIR_HU
    return hu, padding


class HuRange:
    """Lowest and highest HU of slices that come one by one, padding left out."""

    def __init__(self) -> None:
        self._lowest, self._highest = math.inf, -math.inf

    def add(self, hu: np.ndarray, padding: np.ndarray) -> None:
        """Count a slice in; ``padding`` is bool of the shape of ``hu``."""
        real = hu[~padding] if padding.any() else hu
        if real.size:
            self._lowest = min(self._lowest, float(real.min()))
            self._highest = max(self._highest, float(real.max()))

    def refuse_implausible(self, path: Path) -> None:
        """:func:`refuse_implausible_hu` on all slices together.

        Raises:
          Refusal: ``hu-unscaled``, ``hu-impossible``, ``dicom-padding`` where all was padding.
        """
        if self._lowest > self._highest:
            raise Refusal(
                "dicom-padding",
                path,
                expected="pixels inside the field of view",
                found="an image that is padding all over",
                remedy="Export the image again, or repair PixelPaddingValue.",
            )
        refuse_implausible_hu(self._lowest, self._highest, path)


def _padding_mask(dataset: pydicom.Dataset, header: SliceHeader, stored: np.ndarray) -> np.ndarray:
    """Pixels outside the field of view (PS3.3 C.7.5.1.1.2)."""
    first = whole_number(dataset, "PixelPaddingValue", header.path)
    if first is None:
        return np.zeros(stored.shape, bool)
    last = whole_number(dataset, "PixelPaddingRangeLimit", header.path)
    # Explicit VR files may carry the value as unsigned although the pixels are signed.
    if stored.dtype.kind == "i":
        first, last = (
            None if value is None else value - 65536 if value > 32767 else value
            for value in (first, last)
        )
    low, high = sorted((first, first if last is None else last))
    padding = (stored >= low) & (stored <= high)
    border = sorted(value * header.slope + header.intercept for value in (low, high))
    if padding.any() and border[0] <= _TISSUE_HU[1] and border[1] >= _TISSUE_HU[0]:
        raise Refusal(
            "dicom-padding",
            header.path,
            expected="a PixelPaddingValue outside the HU of tissue",
            found=f"one that stands for {border[0]:g} to {border[1]:g} HU, with such pixels",
            remedy="Remove or repair PixelPaddingValue: it would wipe out tissue.",
        )
    return padding


def _refuse_unused_bits(dataset: pydicom.Dataset, path: Path, stored: np.ndarray) -> None:
    """Refuse bits above BitsStored that the decoder had to drop (PS3.5, 8.1.1).

    They are an overlay of an old file, or BitsStored is wrong and HU would change unnoticed.
    """
    if dataset.file_meta.TransferSyntaxUID.is_compressed or stored.dtype.itemsize != 2:
        return
    bits = min(max(whole_number(dataset, "BitsStored", path) or 0, 1), 16)
    order = "<" if dataset.file_meta.TransferSyntaxUID.is_little_endian else ">"
    raw = np.frombuffer(dataset.PixelData, f"{order}u2", count=stored.size).reshape(stored.shape)
    dropped = (raw != stored.astype(np.uint16)) & (raw >> (bits - 1) >> 1 != 0)
    if dropped.any():
        raise Refusal(
            "dicom-bits",
            path,
            expected=f"stored values of {bits} bits",
            found="values with higher bits set (an overlay in the pixels, or a wrong BitsStored?)",
            remedy="Export the image again without overlays.",
        )

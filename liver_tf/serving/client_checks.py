"""Checks of a request before it is sent.

Servers report a wrong rank in terms of the graph's operations, and OpenVINO does not run the checks
of the graph (:mod:`liver_tf.export.signature_checks`).
"""

from __future__ import annotations

import numpy as np

from liver_tf.ct.hu_plausibility import FIELD_LIMITS_MM, SPACING_LIMITS_MM, refuse_implausible_hu
from liver_tf.refusals import Refusal


def checked_request(hu: np.ndarray, spacing_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return HU [batch, rows, columns] and spacing [batch or 1, 2] as float32.

    Raises:
      Refusal: ``request-shape``, ``request-spacing``; ``hu-not-finite``, ``hu-unscaled``,
        ``hu-impossible`` by the rules for files, slice by slice.
    """
    hu, spacing_mm = np.asarray(hu), np.asarray(spacing_mm)
    if hu.ndim != 3 or not hu.size or hu.dtype.kind not in "iuf":
        raise _refusal(
            "request-shape",
            "numbers [batch, rows, columns], at least one slice of at least one pixel",
            f"{hu.dtype} of shape {list(hu.shape)}",
            "Pass a single slice as hu[None].",
        )
    if spacing_mm.ndim != 2 or spacing_mm.shape not in ((len(hu), 2), (1, 2)):
        raise _refusal(
            "request-shape",
            f"spacing_mm [{len(hu)}, 2] (row, column) for each slice, or [1, 2] for all of them",
            f"shape {list(spacing_mm.shape)}",
            "Use 0 for unknown spacing.",
        )
    spacing_mm = spacing_mm.astype(np.float32, copy=False)
    _check_spacing(spacing_mm, hu.shape[1:])
    for slice_hu in hu:
        if not np.isfinite(slice_hu).all():
            raise _refusal(
                "hu-not-finite",
                "finite Hounsfield units",
                "NaN or infinite pixels",
                "Find out what produced them; fill padding with air (-1000).",
            )
        refuse_implausible_hu(float(slice_hu.min()), float(slice_hu.max()), None)
    return hu.astype(np.float32, copy=False), spacing_mm


def _check_spacing(spacing_mm: np.ndarray, size: tuple[int, int]) -> None:
    sides = (spacing_mm * np.array(size, np.float32)).max(axis=1)
    for name, values, limits in (
        ("a spacing", spacing_mm, SPACING_LIMITS_MM),
        ("slices with a longer side", sides, FIELD_LIMITS_MM),
    ):
        low, high = np.array(limits, np.float32)
        if not ((values == 0) | ((values >= low) & (values <= high))).all():  # NaN fails too
            raise _refusal(
                "request-spacing",
                f"{name} of {limits[0]:g} to {limits[1]:g} mm, or 0 if unknown",
                f"{values.min():g} to {values.max():g} mm",
                "Check the unit (mm); use 0 for unknown spacing.",
            )


def _refusal(code: str, expected: str, found: str, remedy: str) -> Refusal:
    return Refusal(code, None, expected=expected, found=found, remedy=remedy)

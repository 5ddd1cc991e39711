"""What a client looks at before it sends slices: a rank is told by no server in plain words, and
OpenVINO runs none of the graph's own checks."""

from __future__ import annotations

import numpy as np

from liver_tf.ct.hu_plausibility import FIELD_LIMITS_MM, SPACING_LIMITS_MM, refuse_implausible_hu
from liver_tf.refusals import Refusal


def checked_request(hu: np.ndarray, spacing_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as float32, ``hu`` [batch, rows, columns] and ``spacing_mm`` [batch or 1, 2].

    Raises ``Refusal`` ``request-shape``, ``request-spacing``, ``hu-not-finite``, ``hu-unscaled`` or
    ``hu-impossible`` (the rules for files, :mod:`liver_tf.ct.hu_plausibility`, slice by slice).
    """
    hu, spacing_mm = np.asarray(hu), np.asarray(spacing_mm)
    if hu.ndim != 3 or not hu.size or hu.dtype.kind not in "iuf":
        raise _refused(
            "numbers [batch, rows, columns], at least one slice of at least one pixel",
            f"{hu.dtype} of shape {list(hu.shape)}",
            "Give a single slice as hu[None].",
        )
    if spacing_mm.ndim != 2 or spacing_mm.shape not in ((len(hu), 2), (1, 2)):
        raise _refused(
            f"spacing_mm [{len(hu)}, 2] (row, column) for each slice, or [1, 2] for all of them",
            f"shape {list(spacing_mm.shape)}",
            "Give 0 where the spacing is unknown.",
        )
    spacing_mm = spacing_mm.astype(np.float32, copy=False)
    _refuse_other_spacing(spacing_mm, hu.shape[1:])
    for one in hu:
        if not np.isfinite(one).all():
            raise Refusal(
                "hu-not-finite",
                None,
                expected="a number in every pixel",
                found="NaN or infinite pixels",
                remedy="Find out what made them; fill them with air (-1000) if they are padding.",
            )
        refuse_implausible_hu(float(one.min()), float(one.max()), None)
    return hu.astype(np.float32, copy=False), spacing_mm


def _refuse_other_spacing(spacing_mm: np.ndarray, size: tuple[int, int]) -> None:
    low, high = np.float32(SPACING_LIMITS_MM)
    fields = (spacing_mm * np.float32(size)).max(axis=1)
    expected = None
    if not ((spacing_mm == 0) | ((spacing_mm >= low) & (spacing_mm <= high))).all():  # nor NaN
        expected = "a spacing of {:g} to {:g} mm, or 0 where it is unknown"
        expected, found = expected.format(*SPACING_LIMITS_MM), spacing_mm
    elif not (
        (fields == 0) | ((fields >= FIELD_LIMITS_MM[0]) & (fields <= FIELD_LIMITS_MM[1]))
    ).all():
        expected = "slices whose longer side is {:g} to {:g} mm"
        expected, found = expected.format(*FIELD_LIMITS_MM), fields
    if expected:
        raise Refusal(
            "request-spacing",
            None,
            expected=expected,
            found=f"{found.min():g} to {found.max():g} mm",
            remedy="Check the unit (mm); give 0 where the spacing is unknown.",
        )


def _refused(expected: str, found: str, remedy: str) -> Refusal:
    return Refusal("request-shape", None, expected=expected, found=found, remedy=remedy)

"""What a client looks at before it sends slices: a rank is told by no server in plain words, and
OpenVINO runs none of the graph's own checks."""

from __future__ import annotations

import numpy as np

from liver_tf.ct.check import refuse_implausible_hu
from liver_tf.refusals import Refusal


def checked_request(hu: np.ndarray, spacing_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as float32, ``hu`` [batch, rows, columns] and ``spacing_mm`` [batch or 1, 2].

    Raises ``Refusal`` ``request-shape``, ``hu-not-finite``, ``hu-unscaled`` or ``hu-impossible``
    (the rules for files, :mod:`liver_tf.ct.check`, slice by slice).
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
    for one in hu:
        if not np.isfinite(one).all():
            raise Refusal(
                "hu-not-finite",
                None,
                expected="a number in every pixel",
                came="NaN or infinite pixels",
                remedy="Find out what made them; fill them with air (-1000) if they are padding.",
            )
        refuse_implausible_hu(float(one.min()), float(one.max()), None)
    return hu.astype(np.float32, copy=False), spacing_mm.astype(np.float32, copy=False)


def _refused(expected: str, came: str, remedy: str) -> Refusal:
    return Refusal("request-shape", None, expected=expected, came=came, remedy=remedy)

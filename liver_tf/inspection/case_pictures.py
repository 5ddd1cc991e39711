"""The slices of a case that show whether its mask is right, small enough to be kept for a page.

A case is looked at once, slice by slice: no more than the few slices that may be shown are held,
and what is handed on is a small JPEG of each with its outlines as paths.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image
from skimage.measure import approximate_polygon

from liver_tf.conversion.cases import CaseTask, LabelledSlice
from liver_tf.ct.hu_plausibility import mask_cautions
from liver_tf.ct.window import DEFAULT_WINDOW, apply_window
from liver_tf.inspection.fingerprint import Facts, facts_of_case
from liver_tf.inspection.hu_statistics import Moments
from liver_tf.inspection.mask_checks import MASK_CODES, MaskFit
from liver_tf.labels import LIVER, LabelSet
from liver_tf.refusals import Caution
from liver_tf.report.overlays.outlines import outlines_of

#: A picture's longer side, in units of its drawing and at most in pixels.
SIDE = 320
_PICTURES = 3
_JPEG_QUALITY = 85
#: Only slices with at least this share of liver are compared for evenness: domes and tips are not.
_LEAST_LIVER = 0.01
#: What belongs to the body, or to its skin, when a picture is cropped to it.
_BODY_HU, _BODY_SHARE, _MARGIN = -300, 0.02, 4


@dataclass(frozen=True)
class CasePicture:
    """One slice, cropped to the body, small.

    Attributes:
      index: of the slice in the case, from 0.
      shows: why it was chosen.
      diagnosis: of the table, or empty.
      width, height: of the drawing, in units; the longer one is ``SIDE``. True to the spacing.
      units_per_mm: scale of the drawing; None where the spacing is unknown.
      jpeg: the slice in the window of the paper, base64.
      outlines: (label, path in the syntax of SVG, in units), drawn in this order.
      labels: that occur.
      liver_hu: mean and spread under the liver's mask, without lesions.
      cautions: of this slice, seen alone.
    """

    index: int
    shows: str
    diagnosis: str
    width: float
    height: float
    units_per_mm: float | None
    jpeg: str
    outlines: tuple[tuple[int, str], ...]
    labels: tuple[int, ...]
    liver_hu: Moments
    cautions: tuple[Caution, ...]


def look_at_case(task: CaseTask) -> tuple[Facts, tuple[CasePicture, ...]]:
    """Facts of a case, as :func:`facts_of_case`, and pictures of at most three of its slices.

    There are none of a case that is refused.
    """
    picker = SlicePicker(task.label_set, others=bool(task.rows))
    facts = facts_of_case(task, picker.see)
    return facts, picker.pictures() if facts.slices else ()


class SlicePicker:
    """Picks the slices with the largest liver, the largest lesion and the most uneven liver.

    Args:
      label_set: of the labels.
      others: whether other slices fill the places that are left, as for single slices, of which
        each has a mask of its own.
    """

    def __init__(self, label_set: LabelSet, *, others: bool) -> None:
        self._label_set = label_set
        self._others = others
        self._best: dict[str, tuple[float, LabelledSlice]] = {}
        self._early: list[LabelledSlice] = []

    def see(self, one: LabelledSlice) -> None:
        """Consider a slice; what is held of it is a copy."""
        pixels = np.bincount(one.labels.reshape(-1), minlength=len(self._label_set))
        liver, lesion = int(pixels[LIVER:].sum()), int(pixels[LIVER + 1 :].sum())
        self._offer("largest liver", liver, one)
        self._offer("largest lesion area", lesion, one)
        if liver >= _LEAST_LIVER * one.labels.size and pixels[LIVER]:
            values = np.clip(one.hu[one.labels == LIVER], -200, 300)
            self._offer("most uneven liver", Moments.of(values).sd, one)
        if len(self._early) < (_PICTURES if self._others else 1):
            self._early.append(_copy(one))

    def pictures(self) -> tuple[CasePicture, ...]:
        """Pictures of what was picked, in the order of the slices."""
        reasons: dict[int, list[str]] = {}
        slices: dict[int, LabelledSlice] = {}
        for name, (_, one) in self._best.items():
            slices[one.index] = one
            reasons.setdefault(one.index, []).append(name)
        for one in self._early:
            wanted = _PICTURES if self._others else 1
            if len(slices) < wanted and one.index not in slices:
                slices[one.index] = one
        return tuple(
            picture_of(one, ", ".join(reasons.get(index, ())), self._label_set)
            for index, one in sorted(slices.items())
        )

    def _offer(self, name: str, value: float, one: LabelledSlice) -> None:
        if value > 0 and (name not in self._best or value > self._best[name][0]):
            self._best[name] = (value, _copy(one))


def picture_of(one: LabelledSlice, shows: str, label_set: LabelSet) -> CasePicture:
    """A slice as a small picture; ``shows`` says why it was chosen."""
    top, bottom, left, right = _box(one)
    hu, labels = one.hu[top:bottom, left:right], one.labels[top:bottom, left:right]
    row_mm, column_mm = one.spacing_mm or (1.0, 1.0)
    units = SIDE / max(hu.shape[0] * row_mm, hu.shape[1] * column_mm)
    height, width = hu.shape[0] * row_mm * units, hu.shape[1] * column_mm * units
    paths = []
    for label, contours in outlines_of(labels, label_set).items():
        # From centres of pixels to corners of the picture.
        scale = np.array([row_mm * units, column_mm * units])
        paths.append((label, " ".join(_path((contour + 0.5) * scale) for contour in contours)))
    under_liver = one.hu[one.labels == LIVER]
    fit = MaskFit.of(one.hu, one.labels)
    cautions = (*mask_cautions(one.hu, one.labels), *fit.cautions())
    return CasePicture(
        index=one.index,
        shows=shows,
        diagnosis=one.diagnosis,
        width=round(width, 1),
        height=round(height, 1),
        units_per_mm=None if one.spacing_mm is None else units,
        jpeg=_jpeg(hu, round(width), round(height)),
        outlines=tuple(paths),
        labels=tuple(np.unique(labels).tolist()),
        liver_hu=Moments.of(under_liver),
        cautions=tuple(caution for caution in cautions if caution.code in MASK_CODES),
    )


def _copy(one: LabelledSlice) -> LabelledSlice:
    """Free of the volume it was cut from, which would stay in memory with it."""
    return LabelledSlice(
        one.index,
        one.hu.copy(),
        one.labels.copy(),
        one.spacing_mm,
        one.diagnosis,
        one.slice_distance_mm,
    )


def _box(one: LabelledSlice) -> tuple[int, int, int, int]:
    """Rows and columns that hold the body and all of the mask: (top, bottom, left, right)."""
    body = one.hu > _BODY_HU
    box = []
    for axis in (1, 0):
        there = body.mean(axis=axis) > _BODY_SHARE
        there |= (one.labels > 0).any(axis=axis)
        places = np.flatnonzero(there)
        if not places.size:
            places = np.arange(there.size)
        box += [max(int(places[0]) - _MARGIN, 0), min(int(places[-1]) + 1 + _MARGIN, there.size)]
    return tuple(box)


def _jpeg(hu: np.ndarray, width: int, height: int) -> str:
    low, high = DEFAULT_WINDOW
    grey = (apply_window(hu, low, high).astype(np.float32) - low) / (high - low) * 255
    image = Image.fromarray(np.round(grey).astype(np.uint8))
    # Small slices are enlarged by whoever shows them.
    size = min(width, image.width) or 1, min(height, image.height) or 1
    if size != image.size:
        image = image.resize(size, Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_JPEG_QUALITY)
    return base64.b64encode(file.getvalue()).decode("ascii")


def _path(points: np.ndarray) -> str:
    """A closed path through (row, column) points; what is under 0.3 units off is left out."""
    points = approximate_polygon(points, 0.3)[:-1]
    return "M" + "L".join(f"{column:.1f} {row:.1f}" for row, column in points) + "Z"

"""Small pictures of the slices that best show whether the mask of a case is right.

A case is read once; only slices that may be shown stay in memory. Each picture is a JPEG with the
outlines as SVG paths.
"""

import base64
import io
from dataclasses import dataclass, replace

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

#: Longer side of a picture in drawing units; also the maximum in pixels.
SIDE = 320
_PICTURES = 3
_JPEG_QUALITY = 85
#: Slices with a smaller share of liver (dome, tip) are not candidates for the most uneven liver.
_LEAST_LIVER = 0.01
#: Pictures are cropped to rows and columns with at least this share of body, plus a margin.
_BODY_HU, _BODY_SHARE, _MARGIN = -300, 0.02, 4


@dataclass(frozen=True)
class CasePicture:
    """One slice, cropped to the body and reduced in size.

    Attributes:
      shows: why the slice was chosen.
      width, height: in drawing units, true to the spacing; the longer one is ``SIDE``.
      units_per_mm: scale of the drawing; None if the spacing is unknown.
      jpeg: the slice in the paper's window, base64.
      outlines: (label, SVG path in drawing units), in drawing order.
      liver_hu: HU under the liver mask, without lesions.
      cautions: on the mask of this slice alone.
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


def picture_case(task: CaseTask) -> tuple[Facts, tuple[CasePicture, ...]]:
    """Facts of a case (:func:`facts_of_case`) and pictures of at most three slices.

    A refused case has no pictures.
    """
    # Single slices have a mask each: as many as possible are shown.
    picker = SlicePicker(task.label_set, least=_PICTURES if task.rows else 1)
    facts = facts_of_case(task, picker.add)
    return facts, picker.pictures() if facts.slices else ()


class SlicePicker:
    """Picks the slices with the largest liver, the largest lesion area and the most uneven liver.

    Args:
      label_set: of the labels.
      least: number of slices to fill up to with the first ones of the case.
    """

    def __init__(self, label_set: LabelSet, least: int) -> None:
        self._label_set = label_set
        self._least = least
        self._best: dict[str, tuple[float, LabelledSlice]] = {}
        self._early: list[LabelledSlice] = []

    def add(self, labelled: LabelledSlice) -> None:
        """Consider a slice; it is copied if kept."""
        pixels = np.bincount(labelled.labels.reshape(-1), minlength=len(self._label_set))
        liver, lesion = int(pixels[LIVER:].sum()), int(pixels[LIVER + 1 :].sum())
        self._offer("largest liver", liver, labelled)
        self._offer("largest lesion area", lesion, labelled)
        if liver >= _LEAST_LIVER * labelled.labels.size and pixels[LIVER]:
            values = np.clip(labelled.hu[labelled.labels == LIVER], -200, 300)
            self._offer("most uneven liver", Moments.of(values).sd, labelled)
        if len(self._early) < self._least:
            self._early.append(_copy(labelled))

    def pictures(self) -> tuple[CasePicture, ...]:
        """Pictures of the picked slices, in slice order."""
        reasons: dict[int, list[str]] = {}
        slices: dict[int, LabelledSlice] = {}
        for name, (_, labelled) in self._best.items():
            slices[labelled.index] = labelled
            reasons.setdefault(labelled.index, []).append(name)
        for labelled in self._early:
            if len(slices) < self._least:
                slices.setdefault(labelled.index, labelled)
        return tuple(
            picture_of(labelled, ", ".join(reasons.get(index, ())), self._label_set)
            for index, labelled in sorted(slices.items())
        )

    def _offer(self, name: str, value: float, labelled: LabelledSlice) -> None:
        if value > 0 and (name not in self._best or value > self._best[name][0]):
            self._best[name] = (value, _copy(labelled))


def picture_of(labelled: LabelledSlice, shows: str, label_set: LabelSet) -> CasePicture:
    """Draw a slice as a small picture; ``shows`` is the reason for its choice."""
    top, bottom, left, right = _box(labelled)
    hu, labels = labelled.hu[top:bottom, left:right], labelled.labels[top:bottom, left:right]
    row_mm, column_mm = labelled.spacing_mm or (1.0, 1.0)
    units = SIDE / max(hu.shape[0] * row_mm, hu.shape[1] * column_mm)
    height, width = hu.shape[0] * row_mm * units, hu.shape[1] * column_mm * units
    # Contours count from pixel centres, paths from the corner of the picture.
    scale = np.array([row_mm * units, column_mm * units])
    outlines = tuple(
        (label, " ".join(_path((contour + 0.5) * scale) for contour in contours))
        for label, contours in outlines_of(labels, label_set).items()
    )
    fit = MaskFit.of(labelled.hu, labelled.labels)
    cautions = (*mask_cautions(labelled.hu, labelled.labels), *fit.cautions())
    return CasePicture(
        index=labelled.index,
        shows=shows,
        diagnosis=labelled.diagnosis,
        width=round(width, 1),
        height=round(height, 1),
        units_per_mm=None if labelled.spacing_mm is None else units,
        jpeg=_jpeg(hu, round(width), round(height)),
        outlines=outlines,
        labels=tuple(np.unique(labels).tolist()),
        liver_hu=Moments.of(labelled.hu[labelled.labels == LIVER]),
        cautions=tuple(caution for caution in cautions if caution.code in MASK_CODES),
    )


def _copy(labelled: LabelledSlice) -> LabelledSlice:
    """A copy without reference to the volume, which would otherwise stay in memory."""
    return replace(labelled, hu=labelled.hu.copy(), labels=labelled.labels.copy())


def _box(labelled: LabelledSlice) -> tuple[int, int, int, int]:
    """Rows and columns that contain body and mask: (top, bottom, left, right)."""
    body = labelled.hu > _BODY_HU
    box = []
    for axis in (1, 0):
        inside = (body.mean(axis=axis) > _BODY_SHARE) | labelled.labels.any(axis=axis)
        places = np.flatnonzero(inside)
        if not places.size:
            places = np.arange(inside.size)
        box += [max(int(places[0]) - _MARGIN, 0), min(int(places[-1]) + 1 + _MARGIN, inside.size)]
    return tuple(box)


def _jpeg(hu: np.ndarray, width: int, height: int) -> str:
    low, high = DEFAULT_WINDOW
    grey = (apply_window(hu, low, high).astype(np.float32) - low) / (high - low) * 255
    image = Image.fromarray(np.round(grey).astype(np.uint8))
    # The browser enlarges small slices.
    size = min(width, image.width) or 1, min(height, image.height) or 1
    if size != image.size:
        image = image.resize(size, Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_JPEG_QUALITY)
    return base64.b64encode(file.getvalue()).decode("ascii")


def _path(points: np.ndarray) -> str:
    """A closed SVG path through (row, column) points, simplified to 0.3 units."""
    points = approximate_polygon(points, 0.3)[:-1]
    return "M" + "L".join(f"{column:.1f} {row:.1f}" for row, column in points) + "Z"

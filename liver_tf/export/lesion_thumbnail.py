"""Small pictures of a lesion or of a scan's most telling slice, with outlines drawn in."""

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from liver_tf import palette
from liver_tf.labels import LabelSet
from liver_tf.report.overlays.draw_overlays import WINDOW_HU
from liver_tf.report.overlays.outlines import outlines_of

#: Pictures are shown at half their size: sharp in print and on screens of high resolution.
SHARPNESS = 2
_QUALITY = 85
#: Drawn larger, then reduced, for smooth lines. Widths and size of the numbers in pixels shown.
_FINER = 2
_LINE, _HALO, _NUMBER = 1.4, 2.8, 14


def thumbnail(
    hu: np.ndarray,
    labels: np.ndarray,
    label_set: LabelSet,
    pixel_mm: tuple[float, float] | None,
    side: int,
    marks: Mapping[int, tuple[int, int]] | None = None,
) -> tuple[bytes, int, int]:
    """A slice or a part of one as a JPEG, with the width and height at which it is shown.

    The outlines have the dashes of their classes.

    Args:
      hu, labels: [rows, columns].
      side: Longer side of the picture as shown, in pixels.
      marks: Numbers of lesions, and the (row, column) to the right of which each is written, if it
        lies in the picture.
    """
    low, high = WINDOW_HU
    grey = ((np.clip(hu, low, high) - low) * (255 / (high - low))).round().astype(np.uint8)
    size_mm = np.multiply(hu.shape, pixel_mm or (1.0, 1.0))
    shown = np.maximum(1, np.round(size_mm * side / size_mm.max()).astype(int))
    fine = SHARPNESS * _FINER
    height, width = (shown * fine).tolist()
    image = Image.fromarray(grey).resize((width, height), Image.Resampling.BICUBIC).convert("RGB")
    scale = shown * fine / hu.shape
    draw = ImageDraw.Draw(image)
    for label, outlines in outlines_of(labels, label_set).items():
        # Pixel centres are integers; (x, y) of the picture.
        lines = [((outline + 0.5) * scale)[:, ::-1] for outline in outlines]
        for line in lines:
            _stroke(draw, line, palette.HALO, _HALO * fine)
        for line in lines:
            for dash in dashes_of(line, [part * _LINE * fine for part in label_set.dashes(label)]):
                _stroke(draw, dash, label_set.colour(label), _LINE * fine)
    font = ImageFont.load_default(_NUMBER * fine)
    for number, (row, column) in (marks or {}).items():
        if not (0 <= row < hu.shape[0] and 0 <= column < hu.shape[1]):
            continue
        x, y = (column + 1) * scale[1] + 2 * fine, row * scale[0]
        across = draw.textlength(str(number), font)
        place = (min(x, width - across - 2 * fine), max(y, _NUMBER * fine))
        halo: dict[str, Any] = {"stroke_width": 1.5 * fine, "stroke_fill": palette.HALO}
        draw.text(place, str(number), palette.WHITE, font, anchor="ls", **halo)
    buffer = io.BytesIO()
    image.reduce(_FINER).save(buffer, "jpeg", quality=_QUALITY, subsampling=0, optimize=True)
    return buffer.getvalue(), int(shown[1]), int(shown[0])


def _stroke(draw: ImageDraw.ImageDraw, line: np.ndarray, colour: str, width: float) -> None:
    draw.line([tuple(point) for point in line.tolist()], colour, round(width), joint="curve")


def dashes_of(line: np.ndarray, pattern: Sequence[float]) -> Iterator[np.ndarray]:
    """The parts of a line, float [points, 2], that a pattern of dashes and gaps draws.

    Args:
      pattern: Lengths of dash, gap, dash, ... in the units of the line; empty for a solid line.
    """
    if not pattern:
        yield line
        return
    at = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    repeats = int(at[-1] / sum(pattern)) + 1
    bounds = np.concatenate([[0.0], np.cumsum(np.tile(pattern, repeats))])
    for start, end in zip(bounds[0:-1:2], np.minimum(bounds[1::2], at[-1]), strict=True):
        if start < end:
            first, after = np.searchsorted(at, start, "right"), np.searchsorted(at, end)
            ends = np.stack([np.interp([start, end], at, line[:, axis]) for axis in (0, 1)], axis=1)
            yield np.concatenate([ends[:1], line[first:after], ends[1:]])


def marks_within(
    part: tuple[slice, slice], places: Sequence[Mapping[int, Sequence[int]]], index: int
) -> dict[int, tuple[int, int]]:
    """Numbers of the lesions in a slice, with the (row, column) in a part of it, for ``marks``.

    Args:
      places: Of every lesion the boxes by slice, from ``lesion_places``.
    """
    rows, columns = part
    return {
        number: (boxes[index][0] - rows.start, boxes[index][4] - columns.start)
        for number, boxes in enumerate(places, 1)
        if index in boxes
    }


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

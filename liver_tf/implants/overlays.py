"""A page with every implanted lesion: the host, the result, and the outline, to judge by eye."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import jinja2
import numpy as np
from PIL import Image
from scipy import ndimage

from liver_tf.implants.paint import ImplantedLesion

#: Side of a picture, its enlargement, and the display window of the liver.
_SIDE_MM, _PIXELS, _WINDOW_HU = 100.0, 320, (-40.0, 220.0)
_OUTLINE = (255, 210, 60)


@dataclass(frozen=True)
class Picture:
    """Caption, and the PNG of host, result and outlined result side by side."""

    caption: str
    png: bytes


def picture_of(
    name: str,
    before: np.ndarray,
    after: np.ndarray,
    spacing_mm: tuple[float, float, float],
    lesion: ImplantedLesion,
) -> Picture:
    """The slice with the largest area of a lesion.

    Args:
      name: Of the scan; no name of a patient.
      before, after: HU [slices, rows, columns].
    """
    at = int(lesion.mask.sum(axis=(1, 2)).argmax())
    index = lesion.window[0].start + at
    mask = np.zeros(before.shape[1:], bool)
    mask[lesion.window[1:]] = lesion.mask[at]
    middle = np.argwhere(mask).mean(axis=0)
    reach = np.ceil(_SIDE_MM / 2 / np.array(spacing_mm)[1:]).astype(int)
    part = tuple(slice(max(0, int(m) - r), int(m) + r) for m, r in zip(middle, reach, strict=True))
    low, high = _WINDOW_HU
    plain = [
        (np.clip((volume[index][part] - low) / (high - low), 0, 1) * 255).astype(np.uint8)
        for volume in (before, after)
    ]
    size = (_PIXELS, round(_PIXELS * plain[0].shape[0] / plain[0].shape[1]))
    images = [
        np.array(Image.fromarray(each).resize(size, Image.Resampling.BICUBIC)) for each in plain
    ]
    large = np.array(Image.fromarray(mask[part]).resize(size, Image.Resampling.NEAREST))
    outlined = np.stack([images[1]] * 3, axis=-1)
    outlined[ndimage.binary_dilation(large) & ~large] = _OUTLINE
    row = [np.stack([each] * 3, axis=-1) for each in images]
    packed = BytesIO()
    Image.fromarray(np.concatenate([*row, outlined], axis=1)).save(packed, format="PNG")
    diameter = 2 * lesion.form.mean_radius_mm
    return Picture(f"{name}, slice {index}: {lesion.kind}, {diameter:.0f} mm", packed.getvalue())


def overlay_page(pictures: Sequence[Picture]) -> str:
    """The page, HTML5, self-contained."""
    file = Path(__file__).with_suffix(".html.jinja")
    template = jinja2.Environment(autoescape=True).from_string(file.read_text(encoding="utf-8"))
    shown = [(each.caption, base64.b64encode(each.png).decode()) for each in pictures]
    return template.render(pictures=shown, window=_WINDOW_HU, side=_SIDE_MM)

"""One scan and what was found in it as one HTML file, to scroll through in any browser.

Nothing is fetched: pictures, outlines, style and script are inside. The pictures are made for
looking (JPEG, 8 bits of the display window); the label map is exact, voxel by voxel, and outlines
run along the edges of its pixels.
"""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from liver_tf.ct.scan import Scan, has_geometry
from liver_tf.export.algorithm_identity import AlgorithmIdentity
from liver_tf.export.lesion_centroids import Place, lesion_places
from liver_tf.export.lesions_csv import Scalar, columns_of, row_of
from liver_tf.export.scan_status import NO_LIVER_TITLE, NO_LIVER_WARNING
from liver_tf.inference.lesion_components import LesionComponents
from liver_tf.inference.lesion_properties import DetectedLesion
from liver_tf.labels import LIVER, LabelSet
from liver_tf.report.overlays.draw_overlays import WINDOW_HU

#: Pixels of all pictures together, at most; more are averaged 2 x 2, 3 x 3, ... It keeps a page
#: below some 15 MB (about 0.12 bytes a pixel in abdominal CT, and a third for base64).
MOST_PIXELS = 96_000_000
_QUALITY = 85

_HEADINGS = {
    "number": "no.",
    "first_slice": "from slice",
    "last_slice": "to slice",
    "volume_ml": "volume, ml",
    "area_mm2": "largest area, mm²",
    "mean_hu": "mean HU",
    "longest_diameter_mm": "longest diameter, mm",
    "diameter_slice": "diameter in slice",
}
#: Fields that have a value for every type.
_OF_A_TYPE = {"type_probabilities": "p", "type_probability_sd": "SD of p"}


def scan_page(
    title: str,
    scan: Scan,
    labels: np.ndarray,
    lesions: Sequence[DetectedLesion],
    diagnosis: str,
    label_set: LabelSet,
    made_by: AlgorithmIdentity,
    *,
    liver_found: bool,
) -> str:
    """The page, HTML5. It holds no name, no path and no identifier but ``title``.

    Args:
      title: what the scan is called; no patient's name and no file name.
      labels: uint8 [slices, rows, columns], canonical, of the shape of ``scan.hu``.
      lesions: of :func:`liver_tf.inference.lesion_properties.find_lesions`.
      liver_found: without a liver the page warns: nothing was looked for.
    """
    if labels.shape != scan.hu.shape:
        raise ValueError(f"labels: expected the shape {scan.hu.shape}, got {labels.shape}")
    places = lesion_places(LesionComponents.of_labels(labels))
    data = {
        "rows": labels.shape[1],
        "columns": labels.shape[2],
        "mm": None if scan.spacing_mm is None else [float(mm) for mm in scan.spacing_mm[1:]],
        "z": _heights(scan),
        "first": _first_shown(labels),
        "classes": [
            {"label": label, "name": label_set.classes[label], "colour": label_set.colour(label)}
            for label in range(LIVER, len(label_set))
        ],
        "pictures": [picture(one, reduction_of(scan.hu.shape)) for one in scan.hu],
        "runs": [runs_of(one) for one in labels],
        "lesions": [_shown(lesion, where) for lesion, where in zip(lesions, places, strict=True)],
    }
    here = Path(__file__)
    head = html.escape(title)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>{head}: liver lesions</title>'
        f"<style>\n{here.with_suffix('.css').read_text(encoding='utf-8')}</style></head>\n<body>\n"
        f"{_heading_of_scan(head, lesions, diagnosis, liver_found)}\n"
        f"{_viewer(len(labels), label_set)}\n{_table(lesions)}\n{_notes(scan, made_by)}\n"
        f'<script type="application/json" id="data">{_json(data)}</script>\n'
        f"<script>\n{here.with_suffix('.js').read_text(encoding='utf-8')}</script>\n"
        "</body></html>\n"
    )


def runs_of(labels: np.ndarray) -> list[int]:
    """A slice's label map as ``gap, length, label, gap, length, label, ...``, row after row.

    A gap is the number of background pixels before the run. :func:`labels_of` is the inverse.
    """
    flat = np.ascontiguousarray(labels).reshape(-1)
    starts = np.concatenate([[0], np.flatnonzero(np.diff(flat)) + 1])
    ends = np.append(starts[1:], len(flat))
    kept = flat[starts] != 0
    starts, ends = starts[kept], ends[kept]
    gaps = starts - np.concatenate([[0], ends[:-1]])
    return np.stack([gaps, ends - starts, flat[starts]], axis=1).reshape(-1).tolist()


def labels_of(runs: Sequence[int], shape: tuple[int, int]) -> np.ndarray:
    """uint8 [rows, columns] of what :func:`runs_of` made."""
    flat = np.zeros(shape[0] * shape[1], np.uint8)
    at = 0
    for gap, length, label in np.asarray(runs, np.int64).reshape(-1, 3):
        flat[at + gap : at + gap + length] = label
        at += gap + length
    return flat.reshape(shape)


def reduction_of(shape: tuple[int, int, int]) -> int:
    """Side of the squares of pixels of [slices, rows, columns] that become one in the pictures."""
    slices, rows, columns = shape
    side = 1
    while slices * -(-rows // side) * -(-columns // side) > MOST_PIXELS:
        side += 1
    return side


def picture(hu: np.ndarray, reduction: int = 1) -> str:
    """A slice, HU [rows, columns], in the display window as JPEG in base64."""
    low, high = WINDOW_HU
    grey = ((np.clip(hu, low, high) - low) * (255 / (high - low))).round().astype(np.uint8)
    image = Image.fromarray(grey)
    if reduction > 1:
        image = image.reduce(reduction)
    buffer = io.BytesIO()
    image.save(buffer, "jpeg", quality=_QUALITY, optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _heights(scan: Scan) -> list[float] | None:
    """Height of the middle of every slice in mm above the scanner's zero, as viewers show it."""
    if not has_geometry(scan):
        return None
    slices, rows, columns = scan.hu.shape
    middles = [[index, (rows - 1) / 2, (columns - 1) / 2, 1] for index in range(slices)]
    return np.round(np.asarray(middles) @ scan.affine[2], 1).tolist()


def _first_shown(labels: np.ndarray) -> int:
    """The slice with most lesion, or else most liver, or the middle one."""
    for least in (LIVER + 1, LIVER):
        pixels = np.array([np.count_nonzero(one >= least) for one in labels])
        if pixels.any():
            return int(pixels.argmax())
    return len(labels) // 2


def _shown(lesion: DetectedLesion, places: dict[int, Place]) -> dict:
    """Where a lesion is jumped to: the slice in which its box is largest."""
    middle = sum(lesion.slices) // 2
    # Of equals the one nearest to the middle.
    largest = max(places, key=lambda index: (_area(places[index]), -abs(index - middle)))
    return {"number": lesion.number, "slice": int(largest), "places": places}


def _area(place: Place) -> int:
    top, left, bottom, right, _ = place
    return (bottom - top + 1) * (right - left + 1)


def _heading_of_scan(
    title: str, lesions: Sequence[DetectedLesion], diagnosis: str, liver_found: bool
) -> str:
    if lesions or liver_found:
        return f"<h1>{title}: {html.escape(_verdict(lesions, diagnosis))}</h1>"
    return (
        f'<h1 class="warning">{title}: {html.escape(NO_LIVER_TITLE)}</h1>\n'
        f'<p class="warning">{html.escape(NO_LIVER_WARNING)}</p>'
    )


def _verdict(lesions: Sequence[DetectedLesion], diagnosis: str) -> str:
    if not lesions:
        return "no lesion found"
    kinds = "1 lesion" if len(lesions) == 1 else f"{len(lesions)} lesions"
    return f"{kinds} found, mostly {diagnosis}"


def _viewer(slices: int, label_set: LabelSet) -> str:
    boxes = "".join(
        f'<label style="--colour:{label_set.colour(label)}"><input type="checkbox" checked '
        f'data-class="{label}"><i></i>{html.escape(label_set.classes[label])}</label>'
        for label in range(LIVER, len(label_set))
    )
    return (
        '<noscript><p class="caution">The pictures need JavaScript; nothing is fetched.</p>'
        '</noscript>\n<div class="viewer"><div class="marks"><b>A</b><b>R</b>'
        '<canvas id="slice" role="img" tabindex="0" aria-label="CT slice with outlines">'
        "</canvas><b>L</b><b>P</b></div>"
        '<div class="bar"><span id="scale"></span><output id="where" for="position"></output></div>'
        '<div class="bar"><button id="down" title="towards the feet">&#9660;</button>'
        f'<input type="range" id="position" min="0" max="{slices - 1}" step="1" value="0" '
        'aria-label="slice, counted from the feet">'
        '<button id="up" title="towards the head">&#9650;</button></div>'
        f'<div class="classes"><span>outlines</span>{boxes}'
        '<label><input type="checkbox" checked id="numbers">numbers</label></div></div>'
    )


def _table(lesions: Sequence[DetectedLesion]) -> str:
    if not lesions:
        return ""
    rows = [row_of(lesion) for lesion in lesions]
    columns = columns_of(rows)
    head = "".join(f"<th>{html.escape(_heading(column))}</th>" for column in columns)
    body = "".join(
        f'<tr data-lesion="{index}"><td><button>show</button></td>'
        + "".join(f"<td>{html.escape(_cell(row.get(column)))}</td>" for column in columns)
        + "</tr>"
        for index, row in enumerate(rows)
    )
    return (
        '<div class="scroll"><table id="lesions"><thead><tr><th></th>'
        f"{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _heading(column: str) -> str:
    field, _, kind = column.partition(".")
    if kind and field in _OF_A_TYPE:
        return f"{_OF_A_TYPE[field]}({kind})"
    return _HEADINGS.get(column, column.replace("_", " "))


def _cell(value: Scalar) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return str(value)


def _notes(scan: Scan, made_by: AlgorithmIdentity) -> str:
    low, high = WINDOW_HU
    notes = [
        "Seen from the feet, as usual: R is the patient's right, A is front. Wheel, arrow keys and "
        "the slider move through the slices, Page Up and Page Down by ten; O switches all "
        "outlines; a click on a heading sorts the table. "
        f"Window {low:.0f} to {high:.0f} HU. Slices are counted from the feet, from 0. "
        "Outlines run along the edges of pixels; the liver's goes round its lesions too.",
        *(f"{caution.code}: {caution.text}" for caution in scan.cautions),
        f"{made_by.name} {made_by.version}, model {made_by.model or 'unknown'}.",
        "Pictures of patients are patient data, also without a name: share the page only with whom "
        "you may share the images. Research use; not a medical device.",
    ]
    if scan.spacing_mm is None:
        notes.insert(1, "The pixel spacing is not known: pixels are drawn square.")
    return "".join(f'<p class="note">{html.escape(note)}</p>' for note in notes)


def _json(data: dict) -> str:
    """JSON that can stand inside of a script element: no tag can begin in it."""
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")

"""Pictures of cases with their outlines, as HTML."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

from liver_tf.inspection.case_choice import PicturedCase
from liver_tf.inspection.case_pictures import CasePicture
from liver_tf.inspection.fingerprint_text import counted
from liver_tf.inspection.mask_checks import MASK_CODES
from liver_tf.labels import LIVER, LabelSet

#: Room round a picture for letters, in units of the drawing.
_EDGE = 20
#: Of a letter's middle from the picture.
_BESIDE = 9
_BAR_MM = 50
#: The palette begins again after eight classes; then lines are dashed.
_DASHES = ("", "6 3", "2 3", "9 3 2 3")
_COLOURS = 8


def contact_sheet(cases: Sequence[PicturedCase], label_set: LabelSet) -> str:
    """A legend and a card for each case."""
    return (
        f"{_legend(cases, label_set)}\n"
        + '<div class="sheet">\n'
        + "\n".join(_card(case, label_set) for case in cases)
        + "\n</div>"
    )


def picture_svg(picture: CasePicture, label_set: LabelSet, *, framed: bool) -> str:
    """One slice with outlines, letters at its edges and a scale bar; ``framed`` in red."""
    width, height = picture.width, picture.height
    middle, centre = width / 2, height / 2
    parts = [
        f'<rect x="{-_EDGE}" y="{-_EDGE}" width="{width + 2 * _EDGE:.1f}" '
        f'height="{height + 2 * _EDGE:.1f}" fill="#000"/>',
        f'<image width="{width}" height="{height}" preserveAspectRatio="none" '
        f'href="data:image/jpeg;base64,{picture.jpeg}"/>',
        '<g class="outline" fill="none">',
    ]
    for label, path in picture.outlines:
        parts.append(f'<path data-label="{label}" d="{path}" {_line(label, label_set)}/>')
    parts.append("</g>")
    letters = (
        ("R", -_BESIDE, centre),
        ("L", width + _BESIDE, centre),
        ("A", middle, -_BESIDE),
        ("P", middle, height + _BESIDE),
    )
    parts += [f'<text x="{x:.1f}" y="{y:.1f}">{letter}</text>' for letter, x, y in letters]
    if picture.units_per_mm is not None:
        bar = _BAR_MM * picture.units_per_mm
        parts.append(
            f'<path d="M2 {height + _BESIDE:.1f}h{bar:.1f}" stroke="#fff" stroke-width="2"/>'
            f'<text class="mm" x="{bar + 6:.1f}" y="{height + _BESIDE:.1f}">{_BAR_MM} mm</text>'
        )
    if framed:
        parts.append(
            f'<rect class="frame" x="{1.5 - _EDGE}" y="{1.5 - _EDGE}" '
            f'width="{width + 2 * _EDGE - 3:.1f}" height="{height + 2 * _EDGE - 3:.1f}" '
            'fill="none" stroke="#ff2020" stroke-width="4"/>'
        )
    box = f"{-_EDGE} {-_EDGE} {width + 2 * _EDGE:.1f} {height + 2 * _EDGE:.1f}"
    name = f"slice {picture.index + 1} with outlines of its mask"
    return (
        f'<svg class="slice" viewBox="{box}" role="img" aria-label="{name}">{"".join(parts)}</svg>'
    )


def _line(label: int, label_set: LabelSet) -> str:
    dash = _DASHES[(label - 1) // _COLOURS % len(_DASHES)]
    width = 1.6 if label == LIVER else 1.8
    line = f'stroke="{label_set.colour(label)}" stroke-width="{width}"'
    return f'{line} stroke-dasharray="{dash}"' if dash else line


def _legend(cases: Sequence[PicturedCase], label_set: LabelSet) -> str:
    drawn = {label for case in cases for picture in case.pictures for label, _ in picture.outlines}
    items = [
        f'<span><svg class="key" viewBox="0 0 28 8"><path d="M1 4H27" '
        f"{_line(label, label_set)}/></svg> {html.escape(label_set.classes[label])}</span>"
        for label in sorted(drawn)
    ]
    items.append(
        '<span><svg class="key" viewBox="0 0 28 16"><rect x="2" y="2" width="24" height="12" '
        'fill="none" stroke="#ff2020" stroke-width="3"/></svg> the mask does not look right</span>'
    )
    return f'<p class="legend">{"".join(items)}</p>'


def _card(case: PicturedCase, label_set: LabelSet) -> str:
    row = case.row
    typed = any(picture.diagnosis for picture in case.pictures)
    # Of a scan the cautions speak of the mask as a whole, of single slices each has its own.
    doubtful = bool(MASK_CODES & set(row.cautions)) and not typed
    figures = []
    for picture in case.pictures:
        framed = doubtful or bool(picture.cautions)
        figures.append(
            f"<figure>{picture_svg(picture, label_set, framed=framed)}"
            f"<figcaption>{_caption(picture, row.slices)}</figcaption></figure>"
        )
    told = [row.case, *(row.diagnoses if typed else ()), counted(row.slices, "slice")]
    if not typed:
        told.append(counted(row.lesions, "lesion"))
    if row.liver_ml:
        told.append(f"liver {row.liver_ml:.0f} ml")
    badges = "".join(
        f' <b class="{"bad" if code in MASK_CODES else "odd"}">{html.escape(code)}</b>'
        for code in (*sorted(row.cautions), *sorted(row.refusals))
    )
    kind = ("doubtful", "odd", "good")[case.rank]
    return (
        f'<section class="card {kind}"><h3>{html.escape(" · ".join(told))}{badges}</h3>'
        f'<div class="pictures">{"".join(figures)}</div></section>'
    )


def _caption(picture: CasePicture, slices: int) -> str:
    # Of single slices some may be refused: their number is that in the table.
    told = [f"slice {picture.index + 1}" + ("" if picture.diagnosis else f" of {slices}")]
    told += [part for part in (picture.diagnosis, picture.shows) if part]
    if not math.isnan(picture.liver_hu.mean):
        told.append(f"liver {picture.liver_hu.mean:.0f} ± {picture.liver_hu.sd:.0f} HU")
    else:
        told.append("no liver outlined")
    if picture.units_per_mm is None:
        told.append("spacing unknown")
    return html.escape(", ".join(told))

"""The cards of the verify page: a few slices of each case with the outlines of their masks."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from liver_tf.counted import counted
from liver_tf.inspection.case_choice import PicturedCase
from liver_tf.inspection.case_pictures import CasePicture
from liver_tf.inspection.mask_checks import MASK_CODES
from liver_tf.labels import LIVER, LabelSet
from liver_tf.report.page.page_parts import Html
from liver_tf.report.page.render_html import template_environment

_SCALE_BAR_MM = 50

_environment = template_environment(Path(__file__).parent)

#: Style rules for the page that shows a contact sheet.
CSS = (Path(__file__).parent / "contact_sheet.css").read_text(encoding="utf-8")


def contact_sheet(cases: Sequence[PicturedCase], label_set: LabelSet) -> Html:
    """A legend and one card per case."""
    drawn = {label for case in cases for picture in case.pictures for label, _ in picture.outlines}
    legend = [(_line(label, label_set), label_set.classes[label]) for label in sorted(drawn)]
    cards = [_card(case, label_set) for case in cases]
    template = _environment.get_template("contact_sheet.html.jinja")
    return Html(Markup(template.render(legend=legend, cards=cards)))


def _card(case: PicturedCase, label_set: LabelSet) -> dict[str, Any]:
    row = case.row
    typed = any(picture.diagnosis for picture in case.pictures)
    # Cautions of a scan apply to all its slices; each single slice has a separate mask.
    misplaced = bool(MASK_CODES & set(row.cautions)) and not typed
    heading = [row.case, *(row.diagnoses if typed else ()), counted(row.slices, "slice")]
    if not typed:
        heading.append(counted(row.lesions, "lesion"))
    if row.liver_ml:
        heading.append(f"liver {row.liver_ml:.0f} ml")
    codes = (*sorted(row.cautions), *sorted(row.refusals))
    return {
        "kind": ("misplaced", "caution", "good")[case.rank],
        "heading": " · ".join(heading),
        "badges": [("bad" if code in MASK_CODES else "caution", code) for code in codes],
        "figures": [
            {
                "picture": picture,
                "outlines": [(n, path, _line(n, label_set)) for n, path in picture.outlines],
                "bar": picture.units_per_mm and _SCALE_BAR_MM * picture.units_per_mm,
                "bar_mm": _SCALE_BAR_MM,
                "framed": misplaced or bool(picture.cautions),
                "caption": _caption(picture, row.slices),
            }
            for picture in case.pictures
        ],
    }


def _line(label: int, label_set: LabelSet) -> dict[str, Any]:
    width = 1.6 if label == LIVER else 1.8
    return {
        "colour": label_set.colour(label),
        "width": width,
        "dash": " ".join(f"{width * length:.1f}" for length in label_set.dashes(label)),
    }


def _caption(picture: CasePicture, slices: int) -> str:
    # Numbers of single slices count CSV rows, and may exceed the number of slices read.
    last = "" if picture.diagnosis else f" (0 to {slices - 1})"
    parts = [f"slice {picture.index}{last}"]
    parts += [part for part in (picture.diagnosis, picture.shows) if part]
    if math.isnan(picture.liver_hu.mean):
        parts.append("no liver outlined")
    else:
        parts.append(f"liver {picture.liver_hu.mean:.0f} ± {picture.liver_hu.sd:.0f} HU")
    if picture.units_per_mm is None:
        parts.append("spacing unknown")
    return ", ".join(parts)

"""Cards of cases: colours, orientation letters and line styles."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from liver_tf.conversion.cases import LabelledSlice
from liver_tf.inspection.case_choice import PicturedCase
from liver_tf.inspection.case_pictures import picture_of
from liver_tf.inspection.contact_sheet import contact_sheet
from liver_tf.inspection.fingerprint import CaseRow
from liver_tf.labels import LESION_TYPES, LabelSet
from tests.builders.verify_pages import body_slice


def picture_svg(labelled: LabelledSlice, label_set: LabelSet) -> str:
    case = PicturedCase(0, CaseRow("c", slices=1), (picture_of(labelled, "", label_set),))
    html = str(contact_sheet([case], label_set).markup)
    return html[html.index("<figure>") : html.index("</figure>")]


def test_outlines_have_the_colours_of_the_label_set():
    svg = picture_svg(body_slice(), LESION_TYPES)
    drawn = dict(re.findall(r'data-label="(\d+)" d="[^"]+" stroke="(#\w+)"', svg))
    assert drawn == {"1": LESION_TYPES.colour(1), "3": LESION_TYPES.colour(3)}
    assert re.findall(r">([RLAP])</text>", svg) == ["R", "L", "A", "P"]
    place = {
        letter: (float(x), float(y))
        for x, y, letter in re.findall(r'<text x="(\S+)" y="(\S+)">([RLAP])<', svg)
    }
    # The patient's right on the left of the picture, front at the top.
    assert place["R"][0] < 0 < place["L"][0]
    assert place["A"][1] < 0 < place["P"][1]


def test_slices_are_numbered_as_in_all_files():
    """From 0: the middle one of three is slice 1."""
    pictures = (picture_of(replace(body_slice(), index=1), "largest liver", LESION_TYPES),)
    html = str(
        contact_sheet([PicturedCase(0, CaseRow("c", slices=3), pictures)], LESION_TYPES).markup
    )
    assert "<figcaption>slice 1 (0 to 2), largest liver, liver " in html
    assert 'aria-label="slice 1 with the outlines' in html
    typed = tuple(replace(picture, diagnosis="cyst") for picture in pictures)
    html = str(contact_sheet([PicturedCase(0, CaseRow("c", slices=3), typed)], LESION_TYPES).markup)
    assert "<figcaption>slice 1, cyst, largest liver," in html


def test_lines_of_32_classes_all_differ():
    label_set = LabelSet("many", ("background", "liver", *(f"kind{n}" for n in range(30))))
    labels = np.zeros((64, 64), np.uint8)
    labels.reshape(-1)[: 32 * 8] = np.repeat(np.arange(32), 8)
    labelled = LabelledSlice(0, np.zeros((64, 64), np.int16), labels, (1.0, 1.0), "", None)
    svg = picture_svg(labelled, label_set)
    lines = re.findall(r'd="[^"]+" (stroke=.*?)/>', svg)
    styles = [re.sub(r'stroke-width="\S+"', "", line) for line in lines if "data" not in line]
    assert len(set(styles)) >= 31

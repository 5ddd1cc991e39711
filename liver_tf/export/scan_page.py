"""The scan page: one scan and its findings as one HTML file that works in any browser.

The page is self-contained: images, outlines, style and scripts are embedded. Images are JPEGs, for
viewing; the label map is exact, and outlines follow its pixel edges. The images come last, except
the first one shown, so that it appears before a browser has read them all. Template, style,
scripts: ``scan_page.html``, ``.css``, ``scan_page*.js``; the rows of the table: ``lesion_table``.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from liver_tf.export.algorithm_identity import AlgorithmIdentity
from liver_tf.export.lesion_table import headings_of, lesion_table
from liver_tf.export.scan_findings import NO_LIVER, NO_LIVER_WARNING, ScanFindings
from liver_tf.export.scan_page_data import FINE_HU, PICTURES, image_numbers, page_data

_HERE = Path(__file__)
SCRIPTS = ("scan_page_slices.js", "scan_page.js", "scan_page_events.js")

#: Name, lowest and highest HU.
_WINDOWS = (
    ("abdomen", round(FINE_HU[0]), round(FINE_HU[1])),
    ("liver", 15, 165),
    ("wide", -1000, 1000),
)
_KEYS = (
    ("arrows, wheel", "next or previous slice"),
    ("swipe up or left, down or right", "higher or lower slices"),
    ("Page Up, Page Down", "ten slices"),
    ("Home, End", "first or last slice"),
    ("J, K", "next or previous lesion of the table"),
    ("1, 2, 3", "window: abdomen, liver, wide (lung, bone and metal at half the resolution)"),
    ("drag", "window: sideways for the width, up and down for the level"),
    ("+, -, Ctrl + wheel, two fingers", "zoom"),
    ("Shift + drag, right button, Shift + arrows", "pan"),
    ("0, double click", "whole picture"),
    ("A, C, S", "axial, coronal, sagittal"),
    ("O", "all outlines, fill and diameter on or off"),
    ("N", "numbers on or off"),
    ("click on a lesion", "choose it, without leaving the slice"),
    ("click beside lesions, Escape", "choose none"),
    ("?", "this list"),
)


def scan_page(
    title: str,
    findings: ScanFindings,
    made_by: AlgorithmIdentity,
    tracking_uids: Sequence[str] = (),
) -> str:
    """The page, HTML5. It contains no name, path or identifier except these arguments.

    Args:
      title: Name of the scan; never the name of a patient or of a file.
      tracking_uids: Of every lesion, if they are in DICOM SEG or SR.
    """
    warn = findings.status == NO_LIVER
    data = page_data(findings)
    pictures = {kind: Markup("\n".join(data.pop(kind))) for kind in PICTURES}
    classes = [
        {**each, "dash": " ".join(f"{3 * part:g}" for part in each["dashes"])}
        for each in data["classes"]
    ]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE.parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment.get_template(_HERE.with_suffix(".html").name).render(
        title=title,
        banner=findings.trained_on.notice,
        cautions=[
            f"{each.code}: {each.text}" for each in (*findings.scan.cautions, *findings.cautions)
        ],
        verdict=findings.headline,
        warning=NO_LIVER_WARNING if warn else None,
        classes=classes,
        windows=_WINDOWS,
        keys=_KEYS,
        last=len(findings.labels) - 1,
        headings=headings_of(findings),
        rows=lesion_table(
            *(findings, data["lesions"], {each["name"]: each for each in classes}), tracking_uids
        ),
        notes=_notes(findings, made_by),
        style=Markup(_HERE.with_suffix(".css").read_text(encoding="utf-8")),
        script=Markup("".join(_HERE.with_name(n).read_text(encoding="utf-8") for n in SCRIPTS)),
        data=_json(data),
        pictures=pictures,
    )


def _notes(findings: ScanFindings, made_by: AlgorithmIdentity) -> list[str]:
    numbered = image_numbers(findings.scan) is not None
    images = "; the image number is the Instance Number that DICOM viewers show" if numbered else ""
    notes = [
        "Axial view from the feet: R is the patient's right, A is anterior. Slices are numbered "
        f"from 0, starting at the feet{images}. Outlines follow the edges of pixels; the outline "
        "of the liver includes its lesions. HU at the pointer are means of 5 x 5 pixels.",
        f"{made_by.name} {made_by.version}, model {made_by.model or 'unknown'}.",
        "Images of patients are patient data even without a name: share this page only with people "
        "who may see the scan. For research; not a medical device.",
    ]
    if findings.label_set.has_types:
        diagnosis = (
            "Image-level diagnosis (majority class among the lesion voxels, as in the paper)"
        )
        notes.insert(1, f"{diagnosis}: {findings.diagnosis}.")
    if findings.pixel_mm is None:
        notes.insert(1, "The pixel spacing is unknown: pixels are drawn as squares.")
    return notes


def _json(data: dict[str, Any]) -> Markup:
    """JSON for a script element, in which no tag can begin."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))

"""The scan page: one scan and its findings as one HTML file that works in any browser.

The page loads nothing from elsewhere: pictures, outlines, style and script are inside. Pictures
are JPEGs of the display window, for viewing; the label map is exact, and outlines follow the edges
of its pixels. Template, style and script: ``scan_page.html``, ``.css`` and ``.js``.
"""

from __future__ import annotations

import json
from pathlib import Path

import jinja2
from markupsafe import Markup

from liver_tf.export.algorithm_identity import AlgorithmIdentity
from liver_tf.export.scan_findings import NO_LIVER_TITLE, NO_LIVER_WARNING, ScanFindings
from liver_tf.export.scan_page_data import page_data
from liver_tf.export.scan_page_table import lesion_table
from liver_tf.report.overlays.draw_overlays import WINDOW_HU

_HERE = Path(__file__)


def scan_page(title: str, findings: ScanFindings, made_by: AlgorithmIdentity) -> str:
    """The page, HTML5. It holds no name, no path and no identifier except ``title``.

    Args:
      title: Name of the scan; never the name of a patient or of a file.
    """
    warn = not findings.lesions and not findings.liver_found
    data = page_data(findings)
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
        verdict=NO_LIVER_TITLE if warn else _verdict(findings),
        warning=NO_LIVER_WARNING if warn else None,
        classes=data["classes"],
        last=len(findings.labels) - 1,
        table=lesion_table(findings.lesions) if findings.lesions else None,
        notes=_notes(findings, made_by),
        style=Markup(_HERE.with_suffix(".css").read_text(encoding="utf-8")),
        script=Markup(_HERE.with_suffix(".js").read_text(encoding="utf-8")),
        data=_json(data),
    )


def _verdict(findings: ScanFindings) -> str:
    count = len(findings.lesions)
    if not count:
        return "no lesion found"
    return f"{count} lesion{'s' if count > 1 else ''} found, mostly {findings.diagnosis}"


def _notes(findings: ScanFindings, made_by: AlgorithmIdentity) -> list[str]:
    low, high = WINDOW_HU
    notes = [
        "Axial view from the feet: R is the patient's right, A is anterior. Scroll with the mouse "
        "wheel, the arrow keys or the slider; Page Up and Page Down move by ten slices. O switches "
        "all outlines; click a heading to sort the table. "
        f"Window {low:.0f} to {high:.0f} HU. Slices are numbered from the feet, from 0. "
        "Outlines follow the edges of pixels; the outline of the liver includes its lesions.",
        *(f"{caution.code}: {caution.text}" for caution in findings.scan.cautions),
        f"{made_by.name} {made_by.version}, model {made_by.model or 'unknown'}.",
        "Images of patients are patient data even without a name: share this page only with people "
        "who may see the scan. For research; not a medical device.",
    ]
    if findings.pixel_mm is None:
        notes.insert(1, "The pixel spacing is unknown: pixels are drawn as squares.")
    return notes


def _json(data: dict) -> Markup:
    """JSON for a script element: no tag can begin in it."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))

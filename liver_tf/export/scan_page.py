"""The scan page: one scan and its findings as one HTML file that works in any browser.

The page is self-contained: images, outlines, style and script are embedded. Images are JPEGs of the
display window, for viewing; the label map is exact, and outlines follow its pixel edges. Template,
style and script: ``scan_page.html``, ``.css`` and ``.js``.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import jinja2
from markupsafe import Markup

from liver_tf.export.algorithm_identity import AlgorithmIdentity
from liver_tf.export.lesions_csv import Scalar, columns_of, row_of
from liver_tf.export.scan_findings import NO_LIVER, NO_LIVER_WARNING, ScanFindings
from liver_tf.export.scan_page_data import page_data
from liver_tf.inference.lesion_properties import DetectedLesion
from liver_tf.report.overlays.draw_overlays import WINDOW_HU

_HERE = Path(__file__)

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
#: Headings of fields with one value for each lesion type, such as ``p(cyst)``.
_PER_TYPE = {"type_probabilities": "p", "type_probability_sd": "SD of p"}


def scan_page(title: str, findings: ScanFindings, made_by: AlgorithmIdentity) -> str:
    """The page, HTML5. It contains no name, path or identifier except ``title``.

    Args:
      title: Name of the scan; never the name of a patient or of a file.
    """
    warn = findings.status == NO_LIVER
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
        verdict=findings.headline,
        warning=NO_LIVER_WARNING if warn else None,
        cautions=[f"{each.code}: {each.text}" for each in findings.cautions],
        classes=data["classes"],
        last=len(findings.labels) - 1,
        table=_lesion_table(findings.lesions),
        notes=_notes(findings, made_by),
        style=Markup(_HERE.with_suffix(".css").read_text(encoding="utf-8")),
        script=Markup(_HERE.with_suffix(".js").read_text(encoding="utf-8")),
        data=_json(data),
    )


def _notes(findings: ScanFindings, made_by: AlgorithmIdentity) -> list[str]:
    low, high = WINDOW_HU
    notes = [
        "Axial view from the feet: R is the patient's right, A is anterior. Scroll with the mouse "
        "wheel, the arrow keys or the slider; Page Up and Page Down move by ten slices. O switches "
        "all outlines; click a heading to sort the table. "
        f"Window {low:.0f} to {high:.0f} HU. Slices are numbered from the feet, from 0. "
        "Outlines follow the edges of pixels; the outline of the liver includes its lesions.",
        *(f"{caution.code}: {caution.text}" for caution in findings.scan.cautions),
        "Image-level diagnosis (majority class among the lesion voxels, as in the paper): "
        f"{findings.diagnosis}.",
        f"{made_by.name} {made_by.version}, model {made_by.model or 'unknown'}.",
        *([findings.trained_on.notice] if findings.trained_on.notice else []),
        "Images of patients are patient data even without a name: share this page only with people "
        "who may see the scan. For research; not a medical device.",
    ]
    if findings.pixel_mm is None:
        notes.insert(1, "The pixel spacing is unknown: pixels are drawn as squares.")
    return notes


def _lesion_table(lesions: Sequence[DetectedLesion]) -> dict[str, list]:
    """Headings, and one row of cells per lesion, with all fields as text."""
    rows = [row_of(lesion) for lesion in lesions]
    columns = columns_of(rows)
    return {
        "headings": [_heading(column) for column in columns],
        "rows": [[_cell(row.get(column)) for column in columns] for row in rows],
    }


def _heading(column: str) -> str:
    field, _, type_name = column.partition(".")
    if type_name and field in _PER_TYPE:
        return f"{_PER_TYPE[field]}({type_name})"
    return _HEADINGS.get(column, column.replace("_", " "))


def _cell(value: Scalar) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return str(value)


def _json(data: dict) -> Markup:
    """JSON for a script element, in which no tag can begin."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))

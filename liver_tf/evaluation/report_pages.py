"""How a report is laid out, as Markdown and as one HTML file without outside references."""

from __future__ import annotations

import base64
import html
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from liver_tf.evaluation.paper_table import (
    SOURCE,
    measured_label,
    paper_table,
    render_markdown,
)
from liver_tf.evaluation.tables import html_table, markdown_table

if TYPE_CHECKING:
    from liver_tf.evaluation.findings import Findings

#: What the figures mean; the same words in both pages.
NOTES = (
    "Success: share of slices with a true lesion in which the prediction overlaps it.",
    "Dice1: Dice of lesion against rest, mean over slices with overlap. Dice2: the same over all "
    "slices with a true lesion, a miss counting 0.",
    "Accuracy: the majority class among a slice's predicted lesion pixels against the true type, "
    "over all slices with a true lesion; a slice without a detection counts as wrong.",
    "Intervals: 95 %, percentile bootstrap over patients, and over the networks of each fold "
    "where there are several. One of width zero means that all patients agree, not that the "
    "measure is certain.",
    "Sensitivity and specificity: a type against all other slices, healthy ones included. ROC "
    "area: by the mean probability of the type over the predicted lesion pixels, among slices "
    "with a lesion. Calibration error: ten bins of equal width; with few slices it is too high "
    "even for a perfect network.",
    "Distances are means over the slices in which both outlines exist: a missed lesion has none.",
    "Every measure, its empty cases and its source: docs/measures.md.",
    "A dash stands where a measure is undefined on these data or was not measured or published.",
    "Research use; not a medical device.",
)

DIFFERENCES = (
    "Differences on the same patients. Shown is one whose interval leaves zero out and whose p "
    "(patients exchanged between the two protocols), after Holm's correction over the comparisons "
    "of a measure, is below 0.05."
)
SIZES = (
    "A lesion's size is the diameter of the circle of its area. Slices go by their largest true "
    "lesion, lesions found by their own size, precision by that of the predicted lesion. Healthy "
    "slices are in no bin."
)
CONFUSION = "Slices, once for every network that predicted them; truth in rows."

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem;
       color: #1a1a1a; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2rem; }
.caution { background: #fde0df; border-left: 4px solid #c00000; color: #a00000;
           padding: .6rem 1rem; }
.data { background: #fff4d6; border-left: 4px solid #d99a00; padding: .6rem 1rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: .8rem 0; font-variant-numeric: tabular-nums; }
th, td { border: 1px solid #d0d0d0; padding: .25rem .6rem; text-align: right; white-space: nowrap; }
thead th { background: #f2f2f2; text-align: center; } tbody th { text-align: left; }
figure { margin: 1rem 0; } img { max-width: 100%; height: auto; } figcaption { color: #555; }
"""


def markdown_page(findings: Findings, folder: Path) -> str:
    """The report as Markdown; pictures are linked relative to ``folder``."""
    label = measured_label(findings.data_label)
    parts = [
        f"# {findings.title}",
        *(f"**CAUTION. {_markdown_text(caution)}**" for caution in findings.cautions),
        f"**All measured figures: {label}.** Published figures are from other data and stand "
        "beside them for orientation only.",
        "## The paper's table",
        render_markdown(findings.measured, findings.data_label).rstrip(),
        *_differences_markdown(findings, label),
        f"## Further measures, {label}",
        markdown_table(findings.other_measures_table()),
        f"## Slices and patients, {label}",
        markdown_table(findings.counts_table()),
        f"## Seeds, {label}",
        markdown_table(findings.seed_table()),
        f"## By size of lesion, {label}",
        SIZES,
    ]
    for protocol in findings.by_size:
        parts += [f"### {protocol}", markdown_table(findings.size_table(protocol))]
    parts += [f"## Confusion of types, {label}", CONFUSION]
    for protocol in findings.confusions:
        parts += [f"### {protocol}", markdown_table(findings.confusion_table(protocol))]
    if findings.pictures:
        parts.append(f"## Pictures, {label}")
    for picture in findings.pictures:
        target = quote(Path(os.path.relpath(picture.path, folder)).as_posix())
        parts.append(f"![{picture.caption}]({target})\n\n{picture.caption}")
    parts += ["## Notes", "\n".join(f"- {note}" for note in NOTES)]
    parts += ["\n".join(f"- {name}: {value}" for name, value in findings.facts.items())]
    return "\n\n".join(parts) + "\n"


def _differences_markdown(findings: Findings, label: str) -> list[str]:
    if not findings.differences:
        return []
    table = markdown_table(findings.difference_table())
    return [f"## Paired differences, {label}", DIFFERENCES, table]


def _markdown_text(text: str) -> str:
    return html.escape(text, quote=False).replace("*", "\\*")


def html_page(findings: Findings) -> str:
    """The report as one HTML file: style and pictures inside, no script, nothing to fetch."""
    label = html.escape(measured_label(findings.data_label))
    title = html.escape(findings.title)
    body = [
        f"<h1>{title}</h1>",
        *(
            f'<p class="caution"><strong>Caution.</strong> {html.escape(caution)}</p>'
            for caution in findings.cautions
        ),
        f'<p class="data"><strong>All measured figures: {label}.</strong> Published figures are '
        "from other data and stand beside them for orientation only.</p>",
        "<h2>The paper's table</h2>",
        _scroll(html_table(paper_table(findings.measured, findings.data_label))),
        f"<p>Published: {html.escape(SOURCE)}; it gives no intervals.</p>",
    ]
    if findings.differences:
        body += [f"<h2>Paired differences, {label}</h2>"]
        body += [f"<p>{html.escape(DIFFERENCES)}</p>"]
        body += [_scroll(html_table(findings.difference_table()))]
    body += [
        f"<h2>Further measures, {label}</h2>",
        _scroll(html_table(findings.other_measures_table())),
        f"<h2>Slices and patients, {label}</h2>",
        _scroll(html_table(findings.counts_table())),
        f"<h2>Seeds, {label}</h2>",
        _scroll(html_table(findings.seed_table())),
        f"<h2>By size of lesion, {label}</h2><p>{html.escape(SIZES)}</p>",
    ]
    for protocol in findings.by_size:
        body.append(f"<h3>{html.escape(protocol)}</h3>")
        body.append(_scroll(html_table(findings.size_table(protocol))))
    body.append(f"<h2>Confusion of types, {label}</h2><p>{html.escape(CONFUSION)}</p>")
    for protocol in findings.confusions:
        body.append(f"<h3>{html.escape(protocol)}</h3>")
        body.append(_scroll(html_table(findings.confusion_table(protocol))))
    if findings.pictures:
        body.append(f"<h2>Pictures, {label}</h2>")
    for picture in findings.pictures:
        caption = html.escape(picture.caption)
        data = base64.b64encode(picture.path.read_bytes()).decode("ascii")
        body.append(
            f'<figure><img alt="{caption}" src="data:image/png;base64,{data}">'
            f"<figcaption>{caption}</figcaption></figure>"
        )
    facts = [f"{name}: {value}" for name, value in findings.facts.items()]
    body += ["<h2>Notes</h2>", _items([*NOTES, *facts])]
    # The empty icon keeps a browser from asking for /favicon.ico.
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>{title}</title><style>{_STYLE}</style></head>\n'
        "<body>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def _scroll(table: str) -> str:
    return f'<div class="scroll">{table}</div>'


def _items(lines: list[str]) -> str:
    return "<ul>" + "".join(f"<li>{html.escape(line)}</li>" for line in lines) + "</ul>"

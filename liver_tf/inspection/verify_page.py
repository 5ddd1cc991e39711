"""What ``verify`` found, as one HTML file: no script, nothing to fetch, no path and no name.

Whoever gets the page sees pictures of slices and pseudonyms, and refusals without their files.
"""

from __future__ import annotations

import hashlib
import html
import math
from collections import Counter
from collections.abc import Mapping, Sequence

from liver_tf.ct.window import DEFAULT_WINDOW
from liver_tf.inspection.case_choice import PicturedCase
from liver_tf.inspection.contact_sheet import contact_sheet
from liver_tf.inspection.distributions import distributions
from liver_tf.inspection.fingerprint import CaseRow, Facts
from liver_tf.inspection.fingerprint_text import counted, fingerprint_rows, fingerprint_text
from liver_tf.inspection.mask_checks import MASK_CODES
from liver_tf.labels import LIVER, LabelSet
from liver_tf.refusals import Caution, Refusal
from liver_tf.report.page.page_parts import Table
from liver_tf.report.page.render_html import html_table

_MOST_ROWS = 500
_MOST_TEXTS = 2

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 92rem; margin: 1.5rem auto;
       padding: 0 1rem; color: #1a1a1a; background: #fff; }
h1 { font-size: 1.5rem; margin: 0 0 .5rem; } h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; }
h3 { font-size: .85rem; margin: 0 0 .4rem; font-weight: 600; }
.verdict { border-left: 5px solid; padding: .5rem .9rem; margin: .6rem 0; }
.good.verdict { border-color: #2e8b57; background: #eaf6ee; }
.odd.verdict { border-color: #d99a00; background: #fff4d6; }
.bad.verdict { border-color: #d00000; background: #fdeaea; }
table { border-collapse: collapse; margin: .6rem 0; font-variant-numeric: tabular-nums;
        font-size: .88rem; }
th, td { border: 1px solid #d0d0d0; padding: .2rem .55rem; text-align: left; vertical-align: top; }
thead th { background: #f2f2f2; } tbody th { font-weight: 500; white-space: nowrap; }
.scroll { overflow-x: auto; }
.legend span { margin-right: 1.4rem; white-space: nowrap; }
.key { height: .8rem; width: 1.8rem; background: #222; vertical-align: middle; }
.sheet { display: flex; flex-wrap: wrap; gap: .8rem; }
.card { border: 1px solid #ccc; padding: .5rem; break-inside: avoid; }
.card.doubtful { border: 2px solid #d00000; }
.pictures { display: flex; flex-wrap: wrap; gap: .5rem; }
figure { margin: 0; width: 21rem; max-width: 100%; break-inside: avoid; }
figcaption { font-size: .78rem; color: #444; }
.slice { display: block; width: 100%; background: #000; }
.slice text { fill: #fff; font: 12px system-ui, sans-serif; text-anchor: middle;
              dominant-baseline: central; }
.slice .mm { font-size: 9px; text-anchor: start; }
.outline { stroke-linejoin: round; stroke-linecap: round; }
#outlines:not(:checked) ~ .sheet .outline { visibility: hidden; }
b.bad, b.odd { font-size: .72rem; padding: 0 .35rem; border-radius: .2rem; color: #fff;
               background: #d00000; white-space: nowrap; }
b.odd { background: #9a6b00; }
.charts { display: flex; flex-wrap: wrap; gap: .6rem; }
.chart { width: 21rem; border: 1px solid #e2e2e2; }
.chart text { font: 10px system-ui, sans-serif; fill: #333; }
.chart .t { font-size: 11px; font-weight: 600; }
.note { color: #555; font-size: .85rem; max-width: 60rem; }
@media print { body { margin: 0; font-size: 11px; max-width: none; } figure { width: 15rem; }
               * { print-color-adjust: exact; } input, label { display: none; } }
"""


def verify_page(
    facts: Facts,
    label_set: LabelSet,
    pictured: Sequence[PicturedCase],
    made_by: Mapping[str, str],
) -> str:
    """The page.

    Args:
      facts: of the data set.
      label_set: of its labels.
      pictured: cases to show.
      made_by: version, time and arguments, by name; without paths.
    """
    parts = [
        "<h1>Does the data look right?</h1>",
        _verdict(facts),
        _refusals(facts.refusals),
        _cautions(facts.cautions),
        '<p class="note">File names are not on this page; the command prints them.</p>',
        _pictures(facts, label_set, pictured),
        _distributions(facts, label_set),
        _facts(facts, label_set),
        _cases(facts),
        _made_by(facts, label_set, made_by),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,"><title>liver_tf: does the data look right?</title>'
        f"<style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(part for part in parts if part)
        + "\n</body></html>\n"
    )


def _verdict(facts: Facts) -> str:
    misfits = sum(bool(MASK_CODES & set(row.cautions)) for row in facts.rows)
    told = [f"{counted(facts.cases, 'case')} of {counted(len(facts.patients), 'patient')} read"]
    told.append(f"{len(facts.refusals)} refused" if facts.refusals else "nothing is refused")
    told.append(
        f"masks look misplaced in {counted(misfits, 'case')}"
        if misfits
        else "no mask looks misplaced"
    )
    others = sum(caution.code not in MASK_CODES for caution in facts.cautions)
    if others:
        told.append(counted(others, "other caution"))
    kind = "bad" if facts.refusals or misfits or not facts.cases else "odd" if others else "good"
    return f'<p class="verdict {kind}"><strong>{"; ".join(told)}.</strong></p>'


def _refusals(refusals: Sequence[Refusal]) -> str:
    """By code: how often, what was expected and found, and the remedies."""
    told: dict[str, Counter[tuple[str, str]]] = {}
    for one in refusals:
        text = f"expected {one.expected}; found {one.found}"
        told.setdefault(one.code, Counter())[text, one.remedy] += 1
    return _by_code("Refused", told, ("code", "count", "what was wrong", "remedy"))


def _cautions(cautions: Sequence[Caution]) -> str:
    """By code: how often, and the first text."""
    told: dict[str, Counter[tuple[str, ...]]] = {}
    for one in cautions:
        told.setdefault(one.code, Counter())[(one.text,)] += 1
    return _by_code("Accepted, but odd", told, ("code", "count", "what it says"))


def _by_code(
    title: str, told: Mapping[str, Counter[tuple[str, ...]]], headers: tuple[str, ...]
) -> str:
    """A line a code; texts hold no names of files."""
    if not told:
        return ""
    rows = []
    for code, texts in sorted(told.items()):
        shown = list(texts)[:_MOST_TEXTS]
        more = f"<br>and {len(texts) - len(shown)} like it" if len(texts) > len(shown) else ""
        columns = [dict.fromkeys(column) for column in zip(*shown, strict=True)]
        cells = ["<br>".join(map(html.escape, column)) for column in columns]
        cells[0] += more
        rows.append(
            f"<tr><th>{html.escape(code)}</th><td>{texts.total()}</td>"
            + "".join(f"<td>{cell}</td>" for cell in cells)
            + "</tr>"
        )
    head = "".join(f"<th>{name}</th>" for name in headers)
    return f"<h2>{title}</h2>" + _scroll(
        f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def _pictures(facts: Facts, label_set: LabelSet, pictured: Sequence[PicturedCase]) -> str:
    if not pictured:
        return ""
    low, high = DEFAULT_WINDOW
    return (
        f"<h2>Masks on images: {len(pictured)} of {counted(facts.cases, 'case')}</h2>"
        '<p class="note">Seen from the feet, as usual: R is the patient\'s right, where the liver '
        "lies, A is front; the spine is at the bottom. The outline must follow the liver's edge. "
        f"Window {low} to {high} HU. Slices are counted from the feet, single slices as in the "
        "table. Cases whose mask does not fit come first.</p>"
        '<input type="checkbox" id="outlines" checked> <label for="outlines">show outlines</label>'
        f"\n{contact_sheet(pictured, label_set)}"
    )


def _distributions(facts: Facts, label_set: LabelSet) -> str:
    charts = "".join(distributions(facts, label_set))
    return f'<h2>Distributions</h2><div class="charts">{charts}</div>' if charts else ""


def _facts(facts: Facts, label_set: LabelSet) -> str:
    rows = Table(("what", "value"), tuple(fingerprint_rows(facts)))
    parts = [f"<h2>Facts</h2>{_scroll(html_table(rows))}"]
    pixels = sum(facts.class_pixels.values())
    if pixels:
        lines = []
        for label, name in enumerate(label_set.classes):
            moments = facts.hu.get(label)
            sizes = sorted(facts.diameters_mm.get(label, ()))
            lines.append(
                (
                    name,
                    f"{facts.class_pixels[label] / pixels:.4%}",
                    f"{moments.mean:.0f} ± {moments.sd:.0f}" if moments else "–",
                    str(len(sizes)) if label > LIVER else "–",
                    f"{sizes[0]:.0f} to {sizes[-1]:.0f}" if sizes else "–",
                )
            )
        headers = ("class", "share of pixels", "HU, mean ± SD", "parts in slices", "diameters, mm")
        parts.append(_scroll(html_table(Table(headers, tuple(lines)))))
    return "".join(parts)


def _cases(facts: Facts) -> str:
    if not facts.rows:
        return ""
    # Sorting is stable: within each kind the cases keep their order.
    rows = sorted(facts.rows, key=lambda row: not (row.cautions or row.refusals))
    headers = (
        "case",
        "slices",
        "diagnosis",
        "pixel, mm",
        "distance, mm",
        "liver, ml",
        "liver HU, mean ± SD",
        "liver on the right",
        "lesions",
        "cautions",
        "refused",
    )
    table = Table(headers, tuple(_case_cells(row) for row in rows[:_MOST_ROWS]))
    more = len(rows) - _MOST_ROWS
    return (
        f"<h2>Cases</h2>{_scroll(html_table(table))}"
        + (f"<p>and {counted(more, 'case')} more.</p>" if more > 0 else "")
        + '<p class="note">Pseudonyms are those of a record set made with the same site key. '
        "Volumes and lesions are those of the masks, in 3-D for scans; of single slices the parts "
        "of all slices are counted, and there is no volume.</p>"
    )


def _case_cells(row: CaseRow) -> tuple[str, ...]:
    if not row.slices:
        return (row.case, "0", *["–"] * 7, _codes(row.cautions), _codes(row.refusals))
    pixel = row.pixel_mm
    return (
        row.case,
        str(row.slices),
        ", ".join(row.diagnoses),
        "unknown" if pixel is None else " x ".join(f"{mm:.3f}" for mm in dict.fromkeys(pixel)),
        "unknown" if row.slice_mm is None else f"{row.slice_mm:.2f}",
        "–" if row.liver_ml is None else f"{row.liver_ml:.0f}",
        "–"
        if math.isnan(row.liver_hu.mean)
        else f"{row.liver_hu.mean:.0f} ± {row.liver_hu.sd:.0f}",
        "–" if row.right_share is None else f"{row.right_share:.0%}",
        str(row.lesions),
        _codes(row.cautions),
        _codes(row.refusals),
    )


def _codes(codes: Counter[str]) -> str:
    return ", ".join(f"{code} x {n}" if n > 1 else code for code, n in sorted(codes.items()))


def _made_by(facts: Facts, label_set: LabelSet, made_by: Mapping[str, str]) -> str:
    digest = hashlib.sha256(fingerprint_text(facts, label_set).encode()).hexdigest()[:16]
    rows = (*made_by.items(), ("digest of the facts", digest))
    return (
        f"<h2>How this page was made</h2>{_scroll(html_table(Table(('what', 'value'), rows)))}"
        '<p class="note">Pictures of patients are patient data, also without a name: share the '
        "page only with whom you may share the images. Research use; not a medical device.</p>"
    )


def _scroll(table: str) -> str:
    return f'<div class="scroll">{table}</div>'

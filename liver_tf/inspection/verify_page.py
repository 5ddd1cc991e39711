"""The page of ``verify --html``: one offline HTML file without file names or patient names."""

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from liver_tf.counted import counted
from liver_tf.ct.window import DEFAULT_WINDOW
from liver_tf.inspection.case_choice import PicturedCase
from liver_tf.inspection.contact_sheet import CSS, contact_sheet
from liver_tf.inspection.distributions import distributions_svg
from liver_tf.inspection.fingerprint import CaseRow, Facts
from liver_tf.inspection.fingerprint_text import fingerprint_rows, fingerprint_text
from liver_tf.inspection.mask_checks import MASK_CODES
from liver_tf.labels import LIVER, LabelSet
from liver_tf.report.page.page_parts import (
    Note,
    Page,
    Paragraph,
    Part,
    Picture,
    Section,
    Status,
    Table,
)
from liver_tf.report.page.render_html import render_html

_MAX_ROWS = 500
_MAX_TEXTS = 2


def verify_page(
    facts: Facts,
    label_set: LabelSet,
    pictured: Sequence[PicturedCase],
    made_by: Mapping[str, str],
) -> str:
    """The page as HTML; ``made_by`` has version, time and arguments by name, without paths."""
    texts = [
        (one.code, (f"expected {one.expected}; found {one.found}", one.remedy))
        for one in facts.refusals
    ]
    notes = [(caution.code, (caution.text,)) for caution in facts.cautions]
    sections = (
        Section("Refused", _by_code(texts, ("code", "count", "problem", "remedy"))),
        Section("Accepted with a caution", _by_code(notes, ("code", "count", "caution"))),
        _pictures(facts, label_set, pictured),
        _distributions(facts, label_set),
        _facts(facts, label_set),
        _cases(facts),
        _made_by(facts, label_set, made_by),
    )
    page = Page(
        "Does the data look right?",
        opening=(
            _status(facts),
            Note("This page contains no file names; the command prints them."),
        ),
        sections=tuple(section for section in sections if section.parts),
        css=CSS,
    )
    return render_html(page)


def _status(facts: Facts) -> Status:
    misplaced = sum(bool(MASK_CODES & set(row.cautions)) for row in facts.rows)
    others = sum(caution.code not in MASK_CODES for caution in facts.cautions)
    parts = [
        f"{counted(facts.cases, 'case')} of {counted(len(facts.patients), 'patient')} read",
        f"{len(facts.refusals)} refused" if facts.refusals else "nothing refused",
        f"masks look misplaced in {counted(misplaced, 'case')}"
        if misplaced
        else "no mask looks misplaced",
    ]
    if others:
        parts.append(counted(others, "other caution"))
    text = "; ".join(parts) + "."
    if facts.refusals or misplaced or not facts.cases:
        return Status(text, "bad")
    return Status(text, "caution" if others else "good")


def _by_code(
    coded: Iterable[tuple[str, tuple[str, ...]]], headers: tuple[str, ...]
) -> tuple[Part, ...]:
    """One row per code with its count and first texts, which contain no file names."""
    by_code: dict[str, Counter[tuple[str, ...]]] = {}
    for code, texts in coded:
        by_code.setdefault(code, Counter())[texts] += 1
    rows = []
    for code, counts in sorted(by_code.items()):
        shown = list(counts)[:_MAX_TEXTS]
        cells = ["\n".join(dict.fromkeys(column)) for column in zip(*shown, strict=True)]
        if len(counts) > len(shown):
            cells[0] += f"\nand {len(counts) - len(shown)} similar"
        rows.append((code, str(counts.total()), *cells))
    return (Table(headers, tuple(rows), words=True),) if rows else ()


def _pictures(facts: Facts, label_set: LabelSet, pictured: Sequence[PicturedCase]) -> Section:
    title = f"Masks on images: {len(pictured)} of {counted(facts.cases, 'case')}"
    if not pictured:
        return Section(title, ())
    low, high = DEFAULT_WINDOW
    note = (
        "Slices are seen from the feet: R is the patient's right, the side of the liver; A is "
        "anterior; the spine is at the bottom. Each outline should follow the edge of its organ or "
        f"lesion. Window {low} to {high} HU. Numbers start at 0: slices of a scan are numbered "
        "from the feet, single slices in the order of the CSV. Cases whose mask looks misplaced "
        "come first."
    )
    return Section(title, (Note(note), contact_sheet(pictured, label_set)))


def _distributions(facts: Facts, label_set: LabelSet) -> Section:
    svg = distributions_svg(facts, label_set)
    caption = "Mean liver HU by case, HU before windowing by class, lesion diameters and spacings."
    parts = () if svg is None else (Picture(svg, caption, "image/svg+xml"),)
    return Section("Distributions", parts)


def _facts(facts: Facts, label_set: LabelSet) -> Section:
    parts: list[Part] = [Table(("fact", "value"), tuple(fingerprint_rows(facts)), words=True)]
    pixels = sum(facts.class_pixels.values())
    if pixels:
        headers = ("class", "share of pixels", "HU, mean ± SD", "2-D lesions", "diameters, mm")
        rows = []
        for label, name in enumerate(label_set.classes):
            moments = facts.hu.get(label)
            diameters = facts.diameters_mm.get(label, ())
            rows.append(
                (
                    name,
                    f"{facts.class_pixels[label] / pixels:.4%}",
                    f"{moments.mean:.0f} ± {moments.sd:.0f}" if moments else "–",
                    str(len(diameters)) if label > LIVER else "–",
                    f"{min(diameters):.0f} to {max(diameters):.0f}" if diameters else "–",
                )
            )
        parts.append(Table(headers, tuple(rows)))
    return Section("Facts", tuple(parts))


def _cases(facts: Facts) -> Section:
    if not facts.rows:
        return Section("Cases", ())
    headers = (
        *("case", "slices", "diagnosis", "pixel, mm", "distance, mm", "liver, ml"),
        *("liver HU, mean ± SD", "liver on the right", "lesions", "cautions", "refused"),
    )
    # The sort is stable: within each group the cases keep their order.
    rows = sorted(facts.rows, key=lambda row: not (row.cautions or row.refusals))
    parts: list[Part] = [Table(headers, tuple(_case_cells(row) for row in rows[:_MAX_ROWS]))]
    if len(rows) > _MAX_ROWS:
        parts.append(Paragraph(f"and {counted(len(rows) - _MAX_ROWS, 'case')} more."))
    parts.append(
        Note(
            "The pseudonyms are those of a record set made with the same site key. Volumes and "
            "lesion counts are those of the masks: of scans in 3-D; of single slices the 2-D "
            "lesions of all slices, and no volume."
        )
    )
    return Section("Cases", tuple(parts))


def _case_cells(row: CaseRow) -> tuple[str, ...]:
    if not row.slices:
        return (row.case, "0", *["–"] * 7, _codes(row.cautions), _codes(row.refusals))
    pixel, hu = row.pixel_mm, row.liver_hu
    return (
        row.case,
        str(row.slices),
        ", ".join(row.diagnoses),
        "unknown" if pixel is None else " x ".join(f"{mm:.3f}" for mm in dict.fromkeys(pixel)),
        "unknown" if row.slice_mm is None else f"{row.slice_mm:.2f}",
        "–" if row.liver_ml is None else f"{row.liver_ml:.0f}",
        "–" if math.isnan(hu.mean) else f"{hu.mean:.0f} ± {hu.sd:.0f}",
        "–" if row.right_share is None else f"{row.right_share:.0%}",
        str(row.lesions),
        _codes(row.cautions),
        _codes(row.refusals),
    )


def _codes(codes: Counter[str]) -> str:
    return ", ".join(f"{code} x {n}" if n > 1 else code for code, n in sorted(codes.items()))


def _made_by(facts: Facts, label_set: LabelSet, made_by: Mapping[str, str]) -> Section:
    digest = hashlib.sha256(fingerprint_text(facts, label_set).encode()).hexdigest()[:16]
    rows = (*made_by.items(), ("digest of the facts", digest))
    note = (
        "Images of patients are patient data even without a name: share this page only with "
        "people who may see the images. For research use only; not a medical device."
    )
    table = Table(("item", "value"), rows, words=True)
    return Section("How this page was made", (table, Note(note)))

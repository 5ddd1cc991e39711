"""The fingerprint, cautions and refusals of a data set as text for the terminal."""

import statistics
from collections import Counter
from collections.abc import Sequence

from liver_tf.counted import counted
from liver_tf.inspection.fingerprint import SETTINGS, Facts
from liver_tf.inspection.hu_statistics import Moments
from liver_tf.labels import LIVER, LabelSet

_MAX_NAMED = 6


def fingerprint_text(facts: Facts, label_set: LabelSet) -> str:
    """The facts as text, without identifiers and paths."""
    rows = fingerprint_rows(facts)
    lines = ["Fingerprint", *(f"  {name:<15} {value}" for name, value in rows)]
    if facts.slices:
        lines += ["", *_classes(facts, label_set), "", *_lesions(facts, label_set)]
    return "\n".join(lines)


def fingerprint_rows(facts: Facts) -> list[tuple[str, str]]:
    """The known facts as (name, value)."""
    slices = f"{facts.slices} ({facts.with_liver} with liver, {facts.with_lesion} with lesion)"
    orientations = _named(facts.orientations, "case")
    settings = {name: facts.settings.get(name, Counter()) for name in SETTINGS}
    rows = [
        ("cases", str(facts.cases)),
        ("patients", str(len(facts.patients))),
        ("slices", slices),
        ("diagnoses", _diagnoses(facts)),
        ("matrix", _matrices(facts)),
        ("pixel spacing", _pixel_spacing(facts)),
        ("slice distance", _range_mm([mm for mm in facts.slice_mm if mm is not None])),
        ("unknown", _unknown(facts)),
        ("orientation", f"{orientations} (directions of columns, rows, slices)"),
        ("scanner", _named(facts.scanners, "case")),
        ("tube voltage", _named(settings["kvp"], "case", unit=" kV")),
        ("thickness", _named(settings["slice_thickness_mm"], "case", unit=" mm")),
        ("kernel", _named(settings["kernel"], "case")),
        ("contrast", _named(settings["contrast"], "case")),
        ("liver volume", _liver_volumes(facts)),
    ]
    if not facts.slices:
        rows = rows[:3]
    return [(name, value) for name, value in rows if value]


def cautions_text(facts: Facts) -> str:
    """Cautions by code: count and first text."""
    if not facts.cautions:
        return "No cautions."
    counts = Counter(caution.code for caution in facts.cautions)
    first = {caution.code: caution.text for caution in reversed(facts.cautions)}
    lines = ["Cautions (data accepted, but check them; first text of each code)"]
    lines += [f"  {count} x [{code}] {first[code]}" for code, count in sorted(counts.items())]
    return "\n".join(lines)


def refusals_text(facts: Facts) -> str:
    """Every refusal with its path, for the terminal of the person who named the files."""
    if not facts.refusals:
        return "Nothing refused."
    counts = Counter(refusal.code for refusal in facts.refusals)
    summary = ", ".join(f"{count} x {code}" for code, count in sorted(counts.items()))
    lines = [f"Refused: {len(facts.refusals)} ({summary})"]
    lines += [f"  {refusal.text_with_path()}" for refusal in facts.refusals]
    return "\n".join(lines)


def _diagnoses(facts: Facts) -> str:
    patients = facts.diagnosis_patients
    return "; ".join(
        f"{name} {counted(slices, 'slice')} of {counted(len(patients[name]), 'patient')}"
        for name, slices in sorted(facts.diagnosis_slices.items())
    )


def _matrices(facts: Facts) -> str:
    counts = {f"{rows} x {columns}": n for (rows, columns), n in facts.matrices.items()}
    return _named(Counter(counts), "slice")


def _pixel_spacing(facts: Facts) -> str:
    known = [pair for pair in facts.pixel_mm if pair is not None]
    text = _range_mm([mm for pair in known for mm in pair])
    if any(row != column for row, column in known):
        text += " (some pixels are not square)"
    return text


def _unknown(facts: Facts) -> str:
    missing = {"pixel spacing": facts.pixel_mm[None], "slice distance": facts.slice_mm[None]}
    return ", ".join(f"{name} of {counted(n, 'slice')}" for name, n in missing.items() if n)


def _classes(facts: Facts, label_set: LabelSet) -> list[str]:
    pixels = sum(facts.class_pixels.values())
    lines = [f"  {'class':<15} {'share of pixels':>15} {'mean HU':>9} {'SD':>7}"]
    for label, name in enumerate(label_set.classes):
        line = f"  {name:<15} {facts.class_pixels[label] / pixels:>15.4%}"
        moments = facts.hu.get(label, Moments())
        if label >= LIVER and moments.count:
            line += f" {moments.mean:>9.1f} {moments.sd:>7.1f}"
        lines.append(line)
    return lines


def _lesions(facts: Facts, label_set: LabelSet) -> list[str]:
    lines = [f"  {'lesions (2-D)':<15} {'count':>15} {'median mm':>9}  range mm"]
    for label in label_set.lesion_labels:
        diameters = facts.diameters_mm.get(label, [])
        line = f"  {label_set.classes[label]:<15} {len(diameters):>15}"
        if diameters:
            line += f" {statistics.median(diameters):>9.1f}"
            line += f"  {min(diameters):.1f} to {max(diameters):.1f}"
        lines.append(line)
    if facts.unmeasured:
        lines.append(f"  not measured (spacing unknown): {facts.unmeasured}")
    return lines


def _range_mm(values: Sequence[float]) -> str:
    if not values:
        return ""
    low, high = min(values), max(values)
    return f"{low:.3f} mm" if f"{low:.3f}" == f"{high:.3f}" else f"{low:.3f} to {high:.3f} mm"


def _liver_volumes(facts: Facts) -> str:
    volumes = [row.liver_ml for row in facts.rows if row.liver_ml]
    if not volumes:
        return ""
    if len(volumes) == 1:
        return f"{volumes[0]:.0f} ml (1 scan)"
    low, median, high = min(volumes), statistics.median(volumes), max(volumes)
    return f"{low:.0f} to {high:.0f} ml, median {median:.0f} ml ({counted(len(volumes), 'scan')})"


def _named(counts: Counter[str], noun: str, unit: str = "") -> str:
    """The most frequent names with their counts."""
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    parts = [f"{name}{unit}: {counted(n, noun)}" for name, n in ranked[:_MAX_NAMED]]
    if len(ranked) > _MAX_NAMED:
        parts.append(f"and {len(ranked) - _MAX_NAMED} more")
    return ", ".join(parts)

"""The first sentence of a report: the outcome of its comparisons, or its main figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from liver_tf.measures.measure_registry import measure_title
from liver_tf.report.tables.paper_table import format_interval
from liver_tf.results.run_results import LOOSE
from liver_tf.statistics.protocol_comparisons import REFERENCE

if TYPE_CHECKING:
    from liver_tf.report.findings import Findings
    from liver_tf.statistics.paired_difference import PairedDifference

#: Outline, type, false alarms.
MEASURES = ("dice2", "accuracy", "healthy_false_positive_rate")

#: Protocols that are named one by one.
_NAMED = 2


def verdict(findings: Findings) -> str:
    """One sentence by the rules of ``summary``; protocols validated on the test fold are left out.

    With a baseline: for how many protocols each of ``MEASURES`` differs from it. Without: the
    best value of each.
    """
    clean = [name for name in findings.measured if not name.endswith(LOOSE)]
    names = clean or [*findings.measured]
    on = f"On {findings.data_label}" + ("" if clean else f", {LOOSE} and therefore too good")
    compared = [
        d
        for d in findings.differences
        if d.reference.startswith(REFERENCE)
        and d.protocol in names
        and d.interval.value is not None
    ]
    if compared:
        of_measures = [[d for d in compared if d.measure == name] for name in MEASURES]
        shown = [_difference(those) for those in of_measures if any(d.direction for d in those)]
        same = [those for those in of_measures if those and not any(d.direction for d in those)]
        if same:
            titles = ", ".join(measure_title(those[0].measure) for those in same)
            shown.append(f"no difference shown in {titles}")
        return f"{on}, compared with {REFERENCE}: {'; '.join(shown)}."
    parts = [_best(findings, names, measure) for measure in MEASURES]
    return f"{on}: {'; '.join(filter(None, parts)) or 'no measure is defined'}."


def _difference(differences: list[PairedDifference]) -> str:
    """The directions that are observed at all, with names or numbers of protocols."""
    title = measure_title(differences[0].measure)
    parts = []
    for word in ("higher", "lower"):
        those = [d for d in differences if d.direction == word]
        if not those:
            continue
        most = max(those, key=lambda d: abs(d.interval.value or 0.0))
        number = len(those)
        whom = " and ".join(d.protocol for d in those)
        figure = format_interval(most.interval, signed=True)
        if number > _NAMED:
            whom = f"{number} of {len(differences)} protocols"
        if number > 1:
            figure = f"most for {most.protocol}, {figure}"
        observed = {d.shown.removeprefix(word).strip(" ()") for d in those if not d.is_shown}
        parts.append(f"{word} for {whom} ({'; '.join([figure, *sorted(observed)])})")
    return f"{title} {' and '.join(parts)}"


def _best(findings: Findings, names: list[str], measure: str) -> str:
    measured = {name: findings.measured[name].get(measure) for name in names}
    known = {n: i.value for n, i in measured.items() if i is not None and i.value is not None}
    if not known:
        return ""
    fewest = measure == "healthy_false_positive_rate"
    best = (min if fewest else max)(known, key=lambda name: known[name])
    figure = f"{measure_title(measure)} {format_interval(measured[best])}"
    return figure if len(names) == 1 else f"{'lowest' if fewest else 'highest'} {figure} ({best})"

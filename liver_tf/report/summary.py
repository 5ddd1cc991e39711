"""The summary at the top of a report: sentences written by rule from its figures.

A sentence states a difference only if ``PairedDifference.is_shown``; otherwise it states that no
difference is shown. No sentence compares measured with published figures, which are from other
data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from liver_tf.measures.measure_registry import PAPER_MEASURES, measure_title
from liver_tf.report.tables.paper_table import format_interval
from liver_tf.results.run_results import LOOSE
from liver_tf.statistics.paired_difference import PairedDifference
from liver_tf.statistics.protocol_comparisons import CONTROLS, REFERENCE

if TYPE_CHECKING:
    from liver_tf.report.findings import Findings

#: A measure that is at least this high for all protocols is called at its ceiling.
CEILING = 0.95

#: False-positive rate on healthy slices from which Success is called uninformative.
MANY_FALSE_POSITIVES = 0.5

_NOT_SHOWN = "no difference shown"


def summary(findings: Findings) -> list[str]:
    """One line each: data, comparisons, highest values, ceilings, limits of the figures."""
    clean = {name: m for name, m in findings.measured.items() if not name.endswith(LOOSE)}
    loose = len(findings.measured) - len(clean)
    if not (clean and loose):
        return _lines(findings)
    # Protocols validated on the test fold are in the tables only.
    findings = replace(
        findings,
        measured=clean,
        counts={name: findings.counts[name] for name in clean},
        by_seed={name: findings.by_seed[name] for name in clean},
        differences=tuple(d for d in findings.differences if d.protocol in clean),
    )
    return [
        *_lines(findings),
        f"Not in this summary: {_many(loose, 'protocol')} {LOOSE} (red in the tables).",
    ]


def _lines(findings: Findings) -> list[str]:
    return [
        *_data(findings),
        *_against_baseline(findings),
        *_against_controls(findings),
        *_highest(findings),
        *_ceiling(findings),
        *_healthy(findings),
        *_seeds(findings),
    ]


def _data(findings: Findings) -> list[str]:
    counts = list(findings.counts.values())
    first = next(iter(findings.counts))
    most = max(counts, key=lambda c: c["images"])
    types = ", ".join(f"{n} {name}" for name, n in findings.diagnoses.get(first, {}).items())
    size = f"{most['images']} slices of {most['patients']} patients"
    if all({**c, "networks": 0} == {**most, "networks": 0} for c in counts):
        size += f" ({types})" if types else ""
    else:
        size = f"up to {size}; not every protocol was evaluated on all of them"
    networks = sum(c["networks"] for c in counts)
    parts = f"{_many(len(counts), 'protocol')}, {_many(networks, 'network')}"
    return [f"Evaluated on {findings.data_label}: {parts}, {size}."]


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _against_baseline(findings: Findings) -> list[str]:
    differences = [d for d in findings.differences if d.reference.startswith(REFERENCE)]
    if not differences and len(findings.measured) > 1:
        return [f"No protocol named {REFERENCE} was evaluated, so none is compared with it."]
    lines = []
    for measure in dict.fromkeys(d.measure for d in differences):
        of_measure = {d.protocol: d for d in differences if d.measure == measure}
        shown, not_shown = _outcomes(of_measure)
        parts = [f"{direction} for {names}" for direction, names in shown.items()]
        for outcome, protocols in not_shown.items():
            names = f" for {', '.join(protocols)}"
            if len(protocols) == len(of_measure):
                every = "any protocol" if outcome == _NOT_SHOWN else "all protocols"
                names = f" for {every}" if len(protocols) > 1 else ""
            parts.append(f"{outcome}{names}")
        lines.append(f"{measure_title(measure)} against {REFERENCE}: {'; '.join(parts)}.")
    return lines


def _outcomes(
    differences: Mapping[str, PairedDifference],
) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Names with intervals by direction, and names without a shown difference by reason."""
    shown: dict[str, str] = {}
    for direction in ("higher", "lower"):
        figures = [
            f"{name} ({format_interval(d.interval, signed=True)})"
            for name, d in differences.items()
            if d.shown == direction
        ]
        if figures:
            shown[direction] = ", ".join(figures)
    not_shown: dict[str, list[str]] = {}
    for name, d in differences.items():
        if not d.is_shown:
            reason = _NOT_SHOWN if d.shown.startswith(_NOT_SHOWN) else d.shown
            not_shown.setdefault(reason, []).append(name)
    return shown, not_shown


def _against_controls(findings: Findings) -> list[str]:
    lines = []
    for control, protocol in CONTROLS.items():
        if protocol not in findings.measured:
            continue
        differences = {
            measure_title(d.measure): d
            for d in findings.differences
            if (d.reference, d.protocol) == (control, protocol)
        }
        if not differences:
            lines.append(
                f"{protocol} trains for more cycles than {REFERENCE}. Its control of equal "
                f"training length, {control}, was not evaluated, so the effect of the freezing "
                "order cannot be separated from that of longer training."
            )
            continue
        shown, not_shown = _outcomes(differences)
        parts = [f"{direction} in {titles}" for direction, titles in shown.items()]
        for outcome, titles in not_shown.items():
            parts.append(f"{outcome}{' in' if outcome == _NOT_SHOWN else ':'} {', '.join(titles)}")
        lines.append(
            f"{protocol} against {control}, its control of equal training length without freezing: "
            f"{'; '.join(parts)}."
        )
    return lines


def _highest(findings: Findings) -> list[str]:
    if len(findings.measured) < 2:
        return []
    parts = []
    for measure in PAPER_MEASURES:
        values = _values(findings, measure)
        if values:
            best = _extremes(values)[1]
            # The intervals of tied protocols differ.
            figure = format_interval(findings.measured[best[0]][measure])
            if len(best) > 1:
                figure = f"{values[best[0]]:.2f}"
            names = "all protocols" if len(best) == len(findings.measured) else " and ".join(best)
            parts.append(f"{measure_title(measure)} {figure} ({names})")
    if not parts:
        return []
    return [
        f"Highest values: {'; '.join(parts)}. The highest of several values is optimistically "
        "biased; only the paired differences show whether one protocol is better than another."
    ]


def _values(findings: Findings, measure: str) -> dict[str, float]:
    """The measure by protocol where it is defined."""
    intervals = {name: measured.get(measure) for name, measured in findings.measured.items()}
    return {n: i.value for n, i in intervals.items() if i is not None and i.value is not None}


def _extremes(values: Mapping[str, float]) -> tuple[list[str], list[str]]:
    """The names with the lowest and with the highest value; rounding errors count as ties."""
    lowest, highest = (
        [name for name, value in values.items() if math.isclose(value, end, abs_tol=1e-9)]
        for end in (min(values.values()), max(values.values()))
    )
    return lowest, highest


def _ceiling(findings: Findings) -> list[str]:
    lines = []
    for measure in PAPER_MEASURES:
        values = _values(findings, measure).values()
        if len(values) > 1 and min(values) >= CEILING:
            lines.append(
                f"{measure_title(measure)} is at least {min(values):.2f} for all protocols. At "
                "this ceiling, these data cannot distinguish the protocols."
            )
    return lines


def _healthy(findings: Findings) -> list[str]:
    measure = "healthy_false_positive_rate"
    rates = _values(findings, measure)
    if not rates:
        return []
    lowest, highest = _extremes(rates)
    low, high = (f"{rates[names[0]]:.0%} ({', '.join(names)})" for names in (lowest, highest))
    if len(lowest) == len(rates) > 1:
        figure = f"{rates[lowest[0]]:.0%} for all protocols"
    else:
        figure = low if len(rates) == 1 else f"from {low} to {high}"
    text = f"{measure_title(measure)}: {figure}."
    many = [name for name, rate in rates.items() if rate >= MANY_FALSE_POSITIVES]
    if many:
        names = "any protocol" if len(many) == len(rates) else ", ".join(many)
        text += (
            f" Success is not informative for {names} at this false-positive rate: a model that "
            "marks everything also scores 1.0."
        )
    return [text]


def _seeds(findings: Findings) -> list[str]:
    numbers = {len(seeds) for seeds in findings.by_seed.values()}
    fewest, most = min(numbers), max(numbers)
    if most == 1:
        return [
            "One seed: the intervals cover new patients for these trained networks. They do not "
            "include the variance between trainings."
        ]
    if fewest == 1:
        return [
            "The protocols were trained with different numbers of seeds. For protocols with one "
            "seed, the intervals cover new patients for these trained networks and do not include "
            "the variance between trainings."
        ]
    seeds = f"{fewest} seeds"
    if fewest < most:
        seeds = f"{fewest} to {most} seeds, depending on protocol"
    text = (
        f"{seeds}, averaged within each slice: the intervals cover new patients and, as far as so "
        "few networks allow, new trainings."
    )
    if fewest == 2:
        text += (
            " Two networks per fold give a poor estimate of the variance between trainings: if "
            "networks vary as much as patients, a 95 % interval covers the truth in about 90 % of "
            "cases."
        )
    return [f"{text} The p values concern patients only."]

"""What a report says on top, in plain words, written by rule from its numbers.

A sentence claims a difference only where ``PairedDifference.is_shown``; all else is "no difference
shown". No sentence compares measured figures with published ones: they are of other data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from liver_tf.measures.measure_registry import PAPER_MEASURES, measure_title
from liver_tf.report.tables.paper_table import format_interval
from liver_tf.results.stored_results import LOOSE
from liver_tf.statistics.paired_difference import PairedDifference
from liver_tf.statistics.protocol_comparisons import CONTROLS, REFERENCE

if TYPE_CHECKING:
    from liver_tf.report.findings import Findings

#: Where the lowest of all protocols lies above, a measure is near its ceiling.
CEILING = 0.95

#: A share of healthy slices with a lesion reported from which on Success says little.
MANY_FALSE_ALARMS = 0.5

_NOT_SHOWN = "no difference shown"


def summary(findings: Findings) -> list[str]:
    """One line each: what was measured, what was shown, what was not, and what cannot be told."""
    clean = {name: own for name, own in findings.measured.items() if not name.endswith(LOOSE)}
    loose = len(findings.measured) - len(clean)
    if clean and loose:
        # What was validated on the test fold is in the tables, in red, and in no sentence but one.
        findings = replace(
            findings,
            measured=clean,
            counts={name: findings.counts[name] for name in clean},
            by_seed={name: findings.by_seed[name] for name in clean},
            differences=tuple(d for d in findings.differences if d.protocol in clean),
        )
    return [
        *_measured_on(findings),
        *_against_baseline(findings),
        *_against_controls(findings),
        *_highest(findings),
        *_ceiling(findings),
        *_healthy(findings),
        *_seeds(findings),
        *(
            [f"{_many(loose, 'protocol')} {LOOSE}, in red below: no sentence here is about that."]
            if clean and loose
            else []
        ),
    ]


def _measured_on(findings: Findings) -> list[str]:
    counts = list(findings.counts.values())
    first = next(iter(findings.counts))
    most = max(counts, key=lambda own: own["images"])
    kinds = ", ".join(f"{n} {name}" for name, n in findings.diagnoses.get(first, {}).items())
    size = f"{most['images']} slices of {most['patients']} patients"
    if all({**own, "networks": 0} == {**most, "networks": 0} for own in counts):
        size += f" ({kinds})" if kinds else ""
    else:
        size = f"up to {size}; not every protocol on all of them"
    networks = sum(own["networks"] for own in counts)
    parts = f"{_many(len(counts), 'protocol')}, {_many(networks, 'network')}"
    return [f"Measured on {findings.data_label}: {parts}, {size}."]


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _against_baseline(findings: Findings) -> list[str]:
    own = [d for d in findings.differences if d.reference.startswith(REFERENCE)]
    if not own:
        if len(findings.measured) > 1:
            return [f"No protocol called {REFERENCE} was measured, so none is compared with it."]
        return []
    lines = []
    for measure in dict.fromkeys(d.measure for d in own):
        here = [d for d in own if d.measure == measure]
        lines.append(f"{measure_title(measure)} against {REFERENCE}: {_outcome(here)}.")
    return lines


def _outcome(differences: Sequence[PairedDifference]) -> str:
    parts = []
    for direction in ("higher", "lower"):
        found = [d for d in differences if d.shown == direction]
        if found:
            named = ", ".join(
                f"{d.protocol} ({format_interval(d.interval, signed=True)})" for d in found
            )
            parts.append(f"{direction} for {named}")
    for what, rest in _not_shown(differences).items():
        names = f" for {', '.join(d.protocol for d in rest)}"
        if len(rest) == len(differences):
            every = "any protocol" if what == _NOT_SHOWN else "all protocols"
            names = f" for {every}" if len(rest) > 1 else ""
        parts.append(f"{what}{names}")
    return "; ".join(parts)


def _not_shown(differences: Sequence[PairedDifference]) -> dict[str, list[PairedDifference]]:
    """What is not shown, by why: what could not be asked is not called *no difference shown*."""
    found: dict[str, list[PairedDifference]] = {}
    for d in differences:
        if not d.is_shown:
            what = _NOT_SHOWN if d.shown.startswith(_NOT_SHOWN) else d.shown
            found.setdefault(what, []).append(d)
    return found


def _against_controls(findings: Findings) -> list[str]:
    lines = []
    measured = set(findings.measured)
    for control, protocol in CONTROLS.items():
        if protocol not in measured:
            continue
        own = [d for d in findings.differences if (d.reference, d.protocol) == (control, protocol)]
        if not own:
            lines.append(
                f"{protocol} trains through more cycles than {REFERENCE}; its control of equal "
                f"length, {control}, was not measured, so what its order of freezing adds is not "
                "told by these figures."
            )
            continue
        parts = []
        for direction in ("higher", "lower"):
            found = [d for d in own if d.shown == direction]
            if found:
                named = ", ".join(
                    f"{measure_title(d.measure)} ({format_interval(d.interval, signed=True)})"
                    for d in found
                )
                parts.append(f"{direction} in {named}")
        for what, rest in _not_shown(own).items():
            named = ", ".join(measure_title(d.measure) for d in rest)
            parts.append(f"{what} in {named}" if what == _NOT_SHOWN else f"{what}: {named}")
        lines.append(
            f"{protocol} against {control}, which trains as long with nothing frozen: "
            f"{'; '.join(parts)}."
        )
    return lines


def _highest(findings: Findings) -> list[str]:
    if len(findings.measured) < 2:
        return []
    parts = []
    for measure in PAPER_MEASURES:
        values = {
            name: own[measure]
            for name, own in findings.measured.items()
            if measure in own and own[measure].value is not None
        }
        if values:
            best = _ends({name: one.value for name, one in values.items()})[1]
            told = format_interval(values[best[0]])
            if len(best) > 1:
                # Their intervals differ.
                told = f"{values[best[0]].value:.2f}"
            alike = "all alike" if len(best) == len(findings.measured) else ", ".join(best)
            parts.append(f"{measure_title(measure)} {alike} {told}")
    if not parts:
        return []
    return [
        f"Highest values: {'; '.join(parts)}. The highest of several is high by luck too: whether "
        "it lies above another protocol is told by the differences alone."
    ]


def _ends(values: Mapping[str, float]) -> tuple[list[str], list[str]]:
    """All that have the least value, and all that have the greatest; sums differ by rounding."""
    return tuple(
        [name for name, value in values.items() if math.isclose(value, end, abs_tol=1e-9)]
        for end in (min(values.values()), max(values.values()))
    )


def _ceiling(findings: Findings) -> list[str]:
    lines = []
    for measure in PAPER_MEASURES:
        values = [
            own[measure].value
            for own in findings.measured.values()
            if measure in own and own[measure].value is not None
        ]
        if len(values) > 1 and min(values) >= CEILING:
            lines.append(
                f"{measure_title(measure)} is at least {min(values):.2f} for all protocols: at "
                "such a ceiling these data cannot tell them apart."
            )
    return lines


def _healthy(findings: Findings) -> list[str]:
    rates = {
        name: own["healthy_false_positive_rate"].value
        for name, own in findings.measured.items()
        if own.get("healthy_false_positive_rate") is not None
        and own["healthy_false_positive_rate"].value is not None
    }
    if not rates:
        return []
    low, high = _ends(rates)
    first, last = (f"{rates[own[0]]:.0%} ({', '.join(own)})" for own in (low, high))
    if len(low) == len(rates) > 1:
        told = f"{rates[low[0]]:.0%} for all protocols"
    else:
        told = first if len(rates) == 1 else f"from {first} to {last}"
    text = f"Healthy slices with a lesion reported: {told}"
    many = [name for name, rate in rates.items() if rate >= MANY_FALSE_ALARMS]
    if many:
        which = "all protocols" if len(many) == len(rates) else ", ".join(many)
        text += (
            f". With so many false alarms Success says little for {which}: who marks something "
            "everywhere hits as well"
        )
    return [f"{text}."]


def _seeds(findings: Findings) -> list[str]:
    numbers = {len(own) for own in findings.by_seed.values()}
    if not numbers:
        return []
    if max(numbers) == 1:
        return [
            "One seed: the intervals speak of other patients with these very networks; what "
            "another training would give is not in them."
        ]
    fewest = min(numbers)
    if fewest == 1:
        return [
            "Not every protocol was trained with the same number of seeds; where it was one, the "
            "intervals speak of other patients with these very networks, and what another training "
            "would give is not in them."
        ]
    same = fewest == max(numbers)
    text = (
        f"{fewest} seeds"
        if same
        else f"{fewest} to {max(numbers)} seeds, not as many for every protocol"
    )
    text += (
        ", averaged within each slice; the intervals take in other patients and, as far as so few "
        "networks can tell, other trainings"
    )
    if fewest == 2:
        text += (
            ". From two networks a fold the spread of trainings is hardly known: where networks "
            "differ as much as patients do, such an interval holds the truth in about 90 % of "
            "cases, not 95 %"
        )
    return [f"{text}. p is about patients alone."]

"""The first sentences of a report: the outcome of its comparisons, or its main figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from liver_tf.measures.measure_registry import COMPARED, measure_title
from liver_tf.report.summary import extremes, values_of
from liver_tf.results.run_results import LOOSE
from liver_tf.statistics.protocol_comparisons import REFERENCE

if TYPE_CHECKING:
    from liver_tf.report.findings import Findings
    from liver_tf.statistics.paired_difference import PairedDifference

#: Of the measures, the one of which less is better.
FALSE_POSITIVES = "healthy_false_positive_rate"

#: Protocols that are named one by one.
_NAMED = 2


def verdict(findings: Findings) -> str:
    """One or two sentences on all measures of ``COMPARED``, by the rules of ``summary``.

    With a baseline: in which measures how many protocols differ from it, and where no difference
    is shown. Without: the best protocol by measure, or the figures of a single one. Protocols
    validated on the test fold are left out.
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
        return f"{on}, compared with {REFERENCE}: {_differences(compared)}."
    if len(names) == 1:
        return f"{on}: {_figures(findings, names[0]) or 'no measure is defined'}."
    return f"{on}: {_best(findings, names)}. Without a {REFERENCE}, no difference was tested."


def _differences(compared: list[PairedDifference]) -> str:
    """Measures with the same outcome for the same protocols together."""
    outcomes: dict[str, list[str]] = {}
    for measure in COMPARED:
        of_measure = [d for d in compared if d.measure == measure]
        if of_measure:
            outcomes.setdefault(_outcome(of_measure), []).append(measure)
    same = outcomes.pop("", [])
    shown = []
    for outcome, measures in outcomes.items():
        for word in ("higher", "lower"):
            those = [d for d in compared if d.measure in measures and d.direction == word]
            most = max((abs(d.interval.value or 0.0) for d in those), default=0.0)
            by = f"by {'up to ' * (len(those) > 1)}{most:.2f}"
            outcome = outcome.replace(f"<{word}>", by)
        shown.append(f"{_titles(measures)} {outcome}")
    if not same:
        return "; ".join(shown)
    nothing = f"difference shown in {_titles(same, 'or')}"
    return f"{'; '.join(shown)}. No {nothing}" if shown else f"no {nothing}"


def _outcome(differences: list[PairedDifference]) -> str:
    """The directions that are observed at all, with names or numbers of protocols; or nothing.

    ``<higher>`` and ``<lower>`` stand for the size of the differences.
    """
    parts = []
    for word in ("higher", "lower"):
        those = [d for d in differences if d.direction == word]
        if not those:
            continue
        whom = _list([d.protocol for d in those])
        if len(those) > _NAMED:
            whom = f"{len(those)} of {len(differences)} protocols"
        observed = {d.shown.removeprefix(word).strip(" ()") for d in those if not d.is_shown}
        parts.append(f"{word} for {whom} ({'; '.join([f'<{word}>', *sorted(observed)])})")
    return " and ".join(parts)


def _best(findings: Findings, names: list[str]) -> str:
    """The protocols with the best value, measures with the same ones together."""
    best: dict[tuple[str, str], list[str]] = {}
    for measure in COMPARED:
        values = {n: v for n, v in values_of(findings, measure).items() if n in names}
        if not values:
            continue
        lowest, highest = extremes(values)
        word, those = ("lowest", lowest) if measure == FALSE_POSITIVES else ("highest", highest)
        if len(those) == len(values) > 1:
            word, those = "equal", ["all protocols"]
        best.setdefault((word, _list(those)), []).append(measure)
    parts = (f"{_titles(measures)} {word} for {whom}" for (word, whom), measures in best.items())
    return "; ".join(parts) or "no measure is defined"


def _figures(findings: Findings, name: str) -> str:
    """The figures of one protocol in words."""
    value = {m: v[name] for m in COMPARED if name in (v := values_of(findings, m))}
    parts = []
    if "success" in value:
        parts.append(
            f"lesions are found in {value['success']:.0%} of the slices with one (Success)"
        )
    if "accuracy" in value:
        parts.append(f"their type is correct in {value['accuracy']:.0%} (Accuracy)")
    if "dice1" in value:
        parts.append(f"Dice is {value['dice1']:.2f} where they are found (Dice1)")
    if "dice2" in value:
        parts.append(f"Dice is {value['dice2']:.2f} with missed lesions as 0 (Dice2)")
    if FALSE_POSITIVES in value:
        parts.append(f"{value[FALSE_POSITIVES]:.0%} of the healthy slices have a false positive")
    return "; ".join(parts)


def _titles(measures: list[str], word: str = "and") -> str:
    return _list(
        [
            measure_title(m) if m != FALSE_POSITIVES else f"the {measure_title(m).lower()}"
            for m in measures
        ],
        word,
    )


def _list(words: list[str], word: str = "and") -> str:
    """``a, b and c``."""
    *first, last = words
    return f"{', '.join(first)} {word} {last}" if first else last

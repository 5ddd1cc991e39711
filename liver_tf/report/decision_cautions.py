"""Warnings about differences between protocols that may come from the choice of their settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from liver_tf.measures.measure_registry import measure_title
from liver_tf.results.run_results import NO_POSTPROCESSING

if TYPE_CHECKING:
    from liver_tf.report.findings import Findings
    from liver_tf.statistics.paired_difference import PairedDifference

#: A difference counts as one of the networks if at least this share of it remains by raw argmax.
LEAST_SHARE = 0.5


def decision_cautions(findings: Findings) -> tuple[str, ...]:
    """One warning for all stated differences of which less than half remains by raw argmax.

    Only pairs whose decision rule or post-processing differs in a fold and seed are concerned.
    """
    doubtful = [
        text
        for d in findings.differences
        if d.direction is not None and _settings_differ(findings, d)
        for text in [_doubt(findings, d)]
        if text
    ]
    if not doubtful:
        return ()
    return (
        "DECISION: the settings chosen for each run differ between compared protocols, and raw "
        "argmax shows less than half of these differences (by the runs' decision; by raw argmax): "
        f"{'; '.join(doubtful)}. They may come from the choice of the settings.",
    )


def _doubt(findings: Findings, d: PairedDifference) -> str:
    """The difference by the runs' decision and by raw argmax; empty if it is large by both."""
    values = [findings.argmax.get(name, {}).get(d.measure) for name in (d.protocol, d.reference)]
    known = [interval.value for interval in values if interval and interval.value is not None]
    decided = d.interval.value or 0.0
    by_argmax = known[0] - known[1] if len(known) == 2 else None
    if by_argmax is not None and by_argmax / decided >= LEAST_SHARE:
        return ""
    raw = "unknown" if by_argmax is None else f"{by_argmax:+.2f}"
    return f"{measure_title(d.measure)}, {d.protocol} - {d.reference} ({decided:+.2f}; {raw})"


def _settings_differ(findings: Findings, d: PairedDifference) -> bool:
    """Whether both protocols are decided differently in a fold and seed that they share."""
    settings: dict[str, dict[tuple[str, int], str]] = {d.protocol: {}, d.reference: {}}
    for run in findings.runs:
        name = run.title if run.title in findings.measured else run.protocol
        if run.results is not None and name in settings:
            text = run.results.made_of.get("postprocessing", NO_POSTPROCESSING)
            settings[name][run.fold, run.seed] = text
    first, second = settings.values()
    return any(first[place] != second[place] for place in first.keys() & second.keys())
